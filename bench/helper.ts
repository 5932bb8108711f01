import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onCore } from './machine.ts';

const checkout = fileURLToPath(new URL('../', import.meta.url));
const entry = fileURLToPath(new URL('./helper-process.ts', import.meta.url));

/** A module of this folder in a process of its own: its exported `answer` answers what is asked from here. */
export class Helper<Question, Reply> {
  readonly #process: ChildProcess;
  readonly #gone: Promise<readonly unknown[]>;
  #asking: Promise<unknown> = Promise.resolve();

  constructor(module: string, core: number | undefined) {
    const [command, ...args] = onCore(core, [process.execPath, '--import', 'tsx', entry, module]);
    this.#process = spawn(command!, args, { cwd: checkout, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#gone = once(this.#process, 'exit');
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** One question at a time; the next waits for the reply to this one. */
  ask(question: Question): Promise<Reply> {
    const reply = this.#asking.then(() => this.#ask(question));
    this.#asking = reply.catch(() => undefined);
    return reply;
  }

  async stop(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect();
    await this.#gone;
  }

  async #ask(question: Question): Promise<Reply> {
    const message = once(this.#process, 'message');
    this.#process.send(question as object);
    const gone = this.#gone.then(([code, signal]) => {
      throw new Error(`a helper process of the benchmark ended (${code ?? signal})`);
    });
    const [{ error, reply }] = (await Promise.race([message, gone])) as [{ error?: string; reply: Reply }];
    if (error !== undefined) throw new Error(error);
    return reply;
  }
}
