// Loaded before all else (`node --import`): the clock of this process is CLOCK_AHEAD ms ahead of the machine's, or behind it.
const ahead = Number(process.env.CLOCK_AHEAD);
const Machine = Date;
globalThis.Date = class extends Machine {
  constructor(...args) {
    if (args.length === 0) super(Machine.now() + ahead);
    else super(...args);
  }

  static now() {
    return Machine.now() + ahead;
  }
};
