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
)

const wantsNumber = `a phone number in +E.164 form, such as "+19705555098"`

// wireTypes are the types of this service with a form of their own on the wire.
var wireTypes = types{
	scalars: map[reflect.Type]schema{
		reflect.TypeFor[seconds](): {kind: "number", minimum: new(int64(0)), maximum: new(int64(maxSeconds)), parse: parseWith(parseSeconds), example: 61.5},
		reflect.TypeFor[e164.Number](): {kind: "string", format: "e164", code: field.NotE164, wants: wantsNumber, pattern: regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`),
			parse: parseWith(e164.Parse), example: "+19705555098"},
		reflect.TypeFor[connection.Network](): {kind: "string", format: "ip-or-network", wants: `an IP address or a network in a text, such as "192.0.2.10" or "192.0.2.0/24"`, maxLength: 64,
			parse: parseWith(connection.ParseNetwork), example: "192.0.2.10"},
		reflect.TypeFor[numbering.Moment](): {kind: "string", format: "date-time", parse: parseWith(numbering.ParseMoment),
			example: "2026-12-31T00:00:00Z"},
		reflect.TypeFor[profile.TimeOfDay](): {kind: "string", format: "time-of-day", wants: `a time of day in a text, such as "08:00", "08:00:00" or "08:00:00.00Z"`,
			parse: parseWith(profile.ParseTimeOfDay), example: "08:00:00"},
	},
	folds: map[string]func(string) string{"lower": strings.ToLower, "codec": connection.Codec},
}

// schemaOf makes the schema of a Go type as the JSON package writes it.
func schemaOf[T any]() *schema { return wireTypes.of(reflect.TypeFor[T]()) }

func networkSchema() *schema { return schemaOf[connection.Network]() }

func amountSchema() *schema { return schemaOf[money.Amount]() }
