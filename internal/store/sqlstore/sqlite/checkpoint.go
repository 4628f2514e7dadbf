package sqlite

import "context"

// What is committed is in the write-ahead log, and is copied into the database file by
// a checkpoint. SQLite makes one within the commit that finds the log long, and the command that
// is in that group waits for all of it: some ten milliseconds. So checkpoints are made
// beside the writer, which continues meanwhile. It begins the log anew when all of it has
// been copied; under load there is always something more, and a commit copies that
// little itself, when the log has become checkpointPages long.
// Source: https://www.sqlite.org/wal.html, "Checkpointing".

const (
	// checkpointPages is how long the log grows before a commit copies what is left of
	// it: 64 MB.
	checkpointPages = 16_000
	// checkpointCommands is after how many commands a checkpoint is made. Each takes a
	// page or two of the log.
	checkpointCommands = 2000
)

// checkpoint makes checkpoints until no more are wanted.
func (l *Ledger) checkpoint(wanted <-chan struct{}) {
	failing := false
	for range wanted {
		var busy bool
		var inLog, copied int64
		err := l.read.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &inLog, &copied)
		if err != nil && !failing {
			l.Logger.Warn("the write-ahead log cannot be copied into the database; it grows until that succeeds", "error", err)
		}
		failing = err != nil
	}
}

// countUncopied counts what the log has got, and asks for a checkpoint now and then.
func (w *writer) countUncopied(commands int) {
	w.uncopied += commands
	if w.uncopied < checkpointCommands {
		return
	}
	select {
	case w.checkpoints <- struct{}{}:
		w.uncopied = 0
	default: // one is being made
	}
}
