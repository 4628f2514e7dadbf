package client

import (
	"context"
	"net/http"
	"time"
)

// Ban is a source that the SIP gateway does not listen to.
type Ban struct {
	// The source with an underscore in the place of the slash.
	ID         string    `json:"id"`
	RecordType string    `json:"record_type"`
	Automatic  bool      `json:"automatic"`
	CreatedAt  time.Time `json:"created_at"`
	// null: never.
	ExpiresAt *time.Time `json:"expires_at"`
	Reason    string     `json:"reason"`
	// An address or a network.
	Source string `json:"source"`
}

// BanParams are what can be set of a ban.
type BanParams struct {
	Source    Field[string]    `json:"source,omitzero"`
	Reason    Field[string]    `json:"reason,omitzero"`
	ExpiresAt Field[time.Time] `json:"expires_at,omitzero"`
}

// Bans are the sources that the SIP gateways do not listen to, for keys with the
// scope admin.
func (c *Client) Bans() Bans { return Bans{list[Ban](c, "/tollgate/v1/bans")} }

// Bans are banned sources.
type Bans struct{ List[Ban] }

// Create bans a source, or replaces its ban.
func (b Bans) Create(ctx context.Context, params BanParams) (Ban, error) {
	return one[Ban](ctx, b.client, call{method: http.MethodPost, path: b.path, body: params})
}

// Delete lifts a ban.
func (b Bans) Delete(ctx context.Context, id string) (Ban, error) {
	return one[Ban](ctx, b.client, call{method: http.MethodDelete, path: b.at(id)})
}
