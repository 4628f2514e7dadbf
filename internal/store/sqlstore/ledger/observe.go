package ledger

import (
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
)

// Group is one transaction of the writer as it ended, for metrics.
type Group struct {
	Size    int           // commands and writes of configuration in it
	Waiting int           // what was queued behind it when it ended
	Took    time.Duration // from before its begin to after its commit
	Failed  bool          // nothing below is set then

	// Reserved counts the calls that were admitted, and Extended and Exhausted the
	// renewals that made a grant longer and those that could not. A command that was
	// repeated counts again.
	Reserved, Extended, Exhausted int
	// Records are those of the calls that ended in it, each exactly once.
	Records []*record.Call
}

// Ended tells Observe of a transaction. waiting is how much is queued behind it, and
// records is nil when it failed.
func (s *Settings) Ended(group []*Work, waiting int, started time.Time, records []*record.Call, err error) {
	if s.Observe == nil {
		return
	}
	g := Group{Size: len(group), Waiting: waiting, Took: s.Clock().Sub(started), Failed: err != nil}
	if err == nil {
		g.Records = records
		for _, one := range group {
			g.count(one)
		}
	}
	s.Observe(g)
}

func (g *Group) count(w *Work) {
	if w.Result.Err != nil {
		return
	}
	switch w.Command.(type) {
	case admission.Reserve:
		if w.Result.Decision.Allow {
			g.Reserved++
		}
	case admission.Report:
		if w.Result.Decision.Allow {
			g.Reserved++
		}
		if w.Result.Extended {
			g.Extended++
		}
	case admission.Renew:
		if w.Result.Extended {
			g.Extended++
		} else {
			g.Exhausted++
		}
	}
}
