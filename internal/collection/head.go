package collection

import (
	"time"

	"github.com/tollgate/tollgate/internal/id"
)

// Head is what every resource begins with. Where it is kept, it is set.
type Head[K comparable] struct {
	// 19 digits, as a text
	ID        K     `json:"id" readOnly:"true"`
	AccountID id.ID `json:"-"`
	Version   int64 `json:"-"` // counts the changes, from 1
}

// Times are when a resource was made and last changed. They are set with the head; they
// are apart from it because resources show them last.
type Times struct {
	CreatedAt time.Time `json:"created_at" readOnly:"true"`
	UpdatedAt time.Time `json:"updated_at" readOnly:"true"`
}

// Key is what the resource is found by.
func (h Head[K]) Key() K { return h.ID }

// Heading returns the head itself, of whatever resource it is in.
func (h *Head[K]) Heading() *Head[K] { return h }

// Dates returns the times themselves.
func (t *Times) Dates() *Times { return t }

// Resource is a pointer to a struct that embeds a Head and Times.
type Resource[K comparable] interface {
	Heading() *Head[K]
	Dates() *Times
}

// HeadOf finds the head of a resource and its times. It panics for a type without them,
// which is a mistake of the program.
func HeadOf[K comparable, T any](object *T) (*Head[K], *Times) {
	r := any(object).(Resource[K])
	return r.Heading(), r.Dates()
}
