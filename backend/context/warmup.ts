/**
 * Ordinary code that stands before every segment of every repository: K/V that is computed behind the system text
 * alone answers half as many questions. Which code it is hardly matters: the same text for all answered as many as
 * 1,000 tokens of the repository's own (docs/method.md), and no file of the repository has to be shown twice.
 * Changing it makes every stored segment useless.
 */
export const warmup = `// file: src/jobs/queue.ts
/** Runs jobs one after another, in the order in which they were added. */
export class JobQueue {
  private readonly waiting: Job[] = [];
  private running = false;

  constructor(private readonly limit: number) {}

  get length(): number {
    return this.waiting.length;
  }

  add(job: Job): void {
    if (this.waiting.length >= this.limit) {
      throw new RangeError(\`The queue is full: \${this.limit} jobs are waiting.\`);
    }
    this.waiting.push(job);
    void this.run();
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (let job = this.waiting.shift(); job; job = this.waiting.shift()) {
      try {
        await job.start();
      } catch (error) {
        job.onError?.(error instanceof Error ? error : new Error(String(error)));
      }
    }
    this.running = false;
  }
}


// file: tools/orders.py
import csv
from collections import defaultdict
from pathlib import Path


def read_orders(path: Path, skip_header: bool = True) -> list[dict]:
    """Reads one order per line; lines without a customer are left out."""
    orders = []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        if skip_header:
            next(reader, None)
        for number, row in enumerate(reader, start=1):
            if len(row) < 3 or not row[0].strip():
                continue
            orders.append({"id": number, "customer": row[0].strip(), "amount": float(row[2])})
    return orders


def total_by_customer(orders: list[dict]) -> dict[str, float]:
    totals = defaultdict(float)
    for order in orders:
        totals[order["customer"]] += order["amount"]
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


`;
