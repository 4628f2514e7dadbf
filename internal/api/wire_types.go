package api

import (
	"reflect"
	"regexp"
	"strings"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rest"
)

const wantsNumber = `a phone number in +E.164 form, such as "+19705555098"`

// wireTypes are the types of this service with a form of their own on the wire.
var wireTypes = rest.Types{
	Scalars: map[reflect.Type]rest.Schema{
		reflect.TypeFor[seconds](): {
			Kind: "number", Minimum: new(int64(0)), Maximum: new(int64(maxSeconds)), Parse: rest.ParseWith(parseSeconds),
			Example: 61.5,
		},
		reflect.TypeFor[e164.Number](): {Kind: "string", Format: "e164", Code: field.NotE164, Wants: wantsNumber,
			Pattern: regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`), Parse: rest.ParseWith(e164.Parse), Example: "+19705555098"},
		reflect.TypeFor[connection.Network](): {Kind: "string", Format: "ip-or-network",
			Wants: `an IP address or a network in a text, such as "192.0.2.10" or "192.0.2.0/24"`, MaxLength: 64,
			Parse: rest.ParseWith(connection.ParseNetwork), Example: "192.0.2.10"},
		reflect.TypeFor[numbering.Moment](): {Kind: "string", Format: "date-time",
			Parse: rest.ParseWith(numbering.ParseMoment), Example: "2026-12-31T00:00:00Z"},
		reflect.TypeFor[profile.TimeOfDay](): {Kind: "string", Format: "time-of-day",
			Wants: `a time of day in a text, such as "08:00", "08:00:00" or "08:00:00.00Z"`,
			Parse: rest.ParseWith(profile.ParseTimeOfDay), Example: "08:00:00"},
	},
	Folds: map[string]func(string) string{"lower": strings.ToLower, "codec": connection.Codec},
}

// schemaOf makes the schema of a Go type as the JSON package writes it.
func schemaOf[T any]() *rest.Schema { return wireTypes.Of(reflect.TypeFor[T]()) }

func networkSchema() *rest.Schema { return schemaOf[connection.Network]() }

func amountSchema() *rest.Schema { return schemaOf[money.Amount]() }
