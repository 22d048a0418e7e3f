/** The backend's log is its stderr; stdout belongs to the handshake. */
export function log(message: string): void {
  process.stderr.write(`${new Date().toISOString()} ${message}\n`);
}
