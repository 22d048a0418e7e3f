/** The last errors that the user saw, for the diagnostics. */
const LIMIT = 10;
const MAX_LENGTH = 500;

const errors: string[] = [];

export function rememberError(message: string): void {
  errors.push(`${new Date().toISOString()} ${message.slice(0, MAX_LENGTH)}`);
  if (errors.length > LIMIT) errors.shift();
}

export const recentErrors = (): readonly string[] => errors;
