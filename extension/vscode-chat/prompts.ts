/** What VS Code's chat asks, in the words in which the model is asked. They are for the model, and so in English. Pure. */

export const COMMANDS = ['explain', 'where', 'impact', 'trace'] as const;
export type ChatCommand = (typeof COMMANDS)[number];

/** Earlier turns that go along with a question: enough for "and who calls it?". */
const MAX_TURNS = 2;
const MAX_EARLIER_ANSWER = 1_000;

const TASKS: Record<ChatCommand, string> = {
  explain: 'Explain step by step how this works in this repository, naming its functions and files:',
  where: 'Where in this repository is this defined or decided? Name the file and the function:',
  impact:
    'What else in this repository depends on this and would have to change with it? Name files and functions:',
  trace: 'Follow this through this repository from where it starts to where it ends, function by function:',
};

/** An earlier question and its answer. */
export interface Exchange {
  question: string;
  answer: string;
}

export interface ChatQuestion {
  prompt: string;
  command?: string;
  /** Places that the user has attached, like `src/a.ts:3-9`. */
  places: readonly string[];
  earlier: readonly Exchange[];
}

/** What goes to the model, and what files are chosen by. */
export interface Asked {
  question: string;
  about: string;
}

export function askedOf({ prompt, command, places, earlier }: ChatQuestion): Asked {
  const task = TASKS[command as ChatCommand] as string | undefined;
  const subject = [prompt.trim(), places.length > 0 ? `(about ${places.join(', ')})` : '']
    .filter(Boolean)
    .join(' ');
  const question = [task, subject].filter(Boolean).join(' ');
  const before = earlier.slice(-MAX_TURNS).map((turn) => {
    const answer = turn.answer.slice(0, MAX_EARLIER_ANSWER);
    return `Earlier question: ${turn.question}\nEarlier answer: ${answer}\n\n`;
  });
  return {
    question: before.join('') + question,
    about: [...earlier.slice(-1).map((turn) => turn.question), subject].join(' '),
  };
}
