package admission

import (
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// RuleAttestation describes how much of the caller may be signed (STIR/SHAKEN). It refuses no
// call. What the caller signs or claims itself plays no part.
const RuleAttestation Rule = 15

var attestationRule = rule{
	name:    "attestation",
	needs:   needConnection,
	gather:  gatherAttestation,
	explain: explainAttestation,
	code:    func(c *coder, f *Facts) { ints(c, &f.Attestation, &f.MaxAttestation) },
}

// AttestationFacts are what may be signed of a call.
type AttestationFacts struct {
	Attestation    record.Attestation
	MaxAttestation record.Attestation // of the connection
}

// gatherAttestation is behind the rule of the caller id: it attests the number that is shown,
// which may be another than the one presented.
func gatherAttestation(f *Facts, in *inquiry) {
	f.MaxAttestation = in.caller.MaxAttestation
	if f.Caller == 0 {
		return
	}
	switch {
	case f.Identity != policy.IdentityKnown:
		f.Attestation = record.AttestGateway
	case f.CallerID.Confirmed:
		f.Attestation = record.AttestFull
	default:
		f.Attestation = record.AttestPartial
	}
	f.Attestation = max(f.Attestation, f.MaxAttestation) // a later letter says less
}

// Origin is what PASSporTs call the origin of a connection's calls (RFC 8588 section 5): the
// same for all of them, so that a network can tell callers apart, and of no meaning to others.
func Origin(connection id.ID) uuid.UUID {
	var name [8]byte
	binary.BigEndian.PutUint64(name[:], uint64(connection))
	return uuid.NewSHA1(originSpace, name[:])
}

// originSpace is the space of names of all origins.
var originSpace = uuid.MustParse("6f2b1a52-0a3f-4c55-9d51-6f6c6c676174")

func explainAttestation(f *Facts) (seen, allowed string) {
	allowed = "A for a confirmed number, B for a known customer, C for any other"
	if f.MaxAttestation > record.AttestFull {
		allowed += ", " + f.MaxAttestation.String() + " at most (max_attestation)"
	}
	if f.Attestation == record.AttestNothing {
		return "nothing: no number is shown", allowed
	}
	seen = f.Attestation.String() + ": " + [...]string{
		record.AttestFull:    "the customer may use the number",
		record.AttestPartial: "only the customer is known",
		record.AttestGateway: "only where the call comes in is known",
	}[f.Attestation]
	return seen + "; origid " + Origin(f.Connection).String(), allowed
}
