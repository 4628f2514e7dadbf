package trail

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Head is the end of the chain of audit events. An operator who keeps one elsewhere
// can later prove that everything up to it is unchanged.
type Head struct {
	Sequence int64 // how many events there are
	Hash     [32]byte
}

// String is the head as people keep it: 12:9f86d0...
func (h Head) String() string { return fmt.Sprintf("%d:%x", h.Sequence, h.Hash) }

// ParseHead reads what String has made.
func ParseHead(text string) (head Head, err error) {
	number, digits, _ := strings.Cut(text, ":")
	head.Sequence, err = strconv.ParseInt(number, 10, 64)
	hash, hexErr := hex.DecodeString(digits)
	if err := errors.Join(err, hexErr); err != nil || head.Sequence < 0 || len(hash) != len(head.Hash) {
		return head, fmt.Errorf("%q is not a head such as 12:9f86d0..., a number and 64 hexadecimal digits", text)
	}
	copy(head.Hash[:], hash)
	return head, nil
}

// headPurpose tells the MAC of a head that a node keeps from that of an event.
const headPurpose = "audit head"

// Sign is the head with a proof that a server with the vault's key has seen it.
func (h Head) Sign(v *secret.Vault) string {
	sum, _ := v.MAC(v.ID(), headPurpose, []byte(h.String()))
	return fmt.Sprintf("%s %s %x", h, v.ID(), sum)
}

// OpenHead reads what Sign has made.
func OpenHead(v *secret.Vault, text string) (Head, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return Head{}, errors.New("it is not a head, a key and a proof")
	}
	head, err := ParseHead(fields[0])
	if err != nil {
		return head, err
	}
	sum, ok := v.MAC(fields[1], headPurpose, []byte(fields[0]))
	if !ok {
		return head, fmt.Errorf("it was made under the key %.20q, which the secrets key file does not have", fields[1])
	}
	if hex.EncodeToString(sum[:]) != fields[2] {
		return head, errors.New("its proof is wrong: it was changed")
	}
	return head, nil
}

// ReadHead returns where the chain ends now.
func ReadHead(ctx context.Context, q table.Querier) (head Head, err error) {
	var hash []byte
	err = q.QueryRowContext(ctx, "SELECT last, hash FROM audit_head WHERE one = 1").Scan(&head.Sequence, &hash)
	copy(head.Hash[:], hash)
	return head, err
}

// HasHead reports whether the chain goes through a head that was kept. It looks at that one
// event; Verify looks at all.
func HasHead(ctx context.Context, q table.Querier, head Head) (bool, error) {
	if head.Sequence == 0 {
		return true, nil
	}
	var hash []byte
	err := q.QueryRowContext(ctx, "SELECT hash FROM audit_events WHERE id = $1", head.Sequence).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return bytes.Equal(hash, head.Hash[:]), err
}
