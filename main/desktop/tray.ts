import { join } from 'node:path';
import { Menu, nativeImage, Tray } from 'electron';

export interface TrayActions {
  readonly open: () => void;
  readonly quit: () => void;
}

export interface StatusTray {
  /** Shows the words as tooltip and as the menu's first line. */
  show(words: string): void;
}

/** The icon in the tray. It lives until the app quits. */
export function createTray(resourcesDir: string, actions: TrayActions): StatusTray {
  const name = process.platform === 'darwin' ? 'trayTemplate.png' : 'tray.png';
  const tray = new Tray(nativeImage.createFromPath(join(resourcesDir, 'tray', name)));
  tray.on('click', actions.open);
  let shown = '';
  return {
    show(words) {
      // Setting the menu anew closes it where it is open, so only when there is news.
      if (words === shown) return;
      shown = words;
      tray.setToolTip(words);
      tray.setContextMenu(menu(words, actions));
    },
  };
}

function menu(words: string, actions: TrayActions): Menu {
  return Menu.buildFromTemplate([
    { label: words, enabled: false },
    { type: 'separator' },
    { label: 'Open window', click: actions.open },
    { label: 'Quit Cistern', click: actions.quit },
  ]);
}
