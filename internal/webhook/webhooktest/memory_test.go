package webhooktest_test

import (
	"testing"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/webhook/webhooktest"
)

func TestMemory(t *testing.T) {
	webhooktest.Run(t, func(*testing.T) webhooktest.Subject { return subject(webhooktest.NewMemory()) })
}

func subject(m *webhooktest.Memory) webhooktest.Subject {
	return webhooktest.Subject{
		Outbox: m, Log: m,
		Accounts: [2]id.ID{11, 12}, Connections: [2]id.ID{21, 22},
		PutEndpoint:    m.PutEndpoint,
		DeleteEndpoint: func(_, endpoint id.ID) { m.DeleteEndpoint(endpoint) },
		// The memory outlives its users.
		Reopen: func() webhooktest.Subject { return subject(m) },
	}
}
