package telemetry

import "sync"

// other is the value of a label once there are too many.
const other = "other"

// bounded keeps the number of values of a label. It is safe for concurrent use.
type bounded struct {
	most int

	mu   sync.Mutex // guards seen
	seen map[string]struct{}
}

func newBounded(most int) *bounded { return &bounded{most: most, seen: make(map[string]struct{})} }

// value is the text itself for the first texts that were seen, and other for the rest.
func (b *bounded) value(text string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.seen[text]; known {
		return text
	}
	if len(b.seen) >= b.most {
		return other
	}
	b.seen[text] = struct{}{}
	return text
}
