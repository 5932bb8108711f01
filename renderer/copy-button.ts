const SAID_MS = 2000;

/** Copies what `content` gives, and says on the button how it went. */
export function copyButton(button: HTMLElement, content: () => string): void {
  const label = button.textContent;
  button.addEventListener('click', async () => {
    button.textContent = await navigator.clipboard.writeText(content()).then(
      () => 'Copied',
      () => 'Could not copy',
    );
    setTimeout(() => {
      button.textContent = label;
    }, SAID_MS);
  });
}
