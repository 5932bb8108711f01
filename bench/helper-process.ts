// The other end of helper.ts: node --import tsx bench/helper-process.ts ./load.ts
type Answer = (question: unknown) => Promise<unknown>;

const { answer } = (await import(process.argv[2]!)) as { answer: Answer };
process.on('message', question => {
  answer(question).then(
    reply => process.send!({ reply }),
    (error: Error) => process.send!({ error: error.message }),
  );
});
process.on('disconnect', () => process.exit());
