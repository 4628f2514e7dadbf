package sqlstore

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

// AuditHead is the end of the chain of audit events. An operator who keeps one elsewhere
// can later prove that everything up to it is unchanged.
type AuditHead struct {
	Sequence int64 // how many events there are
	Hash     [32]byte
}

// String is the head as people keep it: 12:9f86d0...
func (h AuditHead) String() string { return fmt.Sprintf("%d:%x", h.Sequence, h.Hash) }

// ParseAuditHead reads what String has made.
func ParseAuditHead(text string) (head AuditHead, err error) {
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
func (h AuditHead) Sign(v *secret.Vault) string {
	sum, _ := v.MAC(v.ID(), headPurpose, []byte(h.String()))
	return fmt.Sprintf("%s %s %x", h, v.ID(), sum)
}

// OpenAuditHead reads what Sign has made.
func OpenAuditHead(v *secret.Vault, text string) (AuditHead, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return AuditHead{}, errors.New("it is not a head, a key and a proof")
	}
	head, err := ParseAuditHead(fields[0])
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

// AuditHead returns where the chain ends now.
func (s *Store) AuditHead(ctx context.Context) (head AuditHead, err error) {
	err = s.engine.Read(ctx, table.EveryAccount, func(tx table.Querier) error {
		var hash []byte
		err := tx.QueryRowContext(ctx, "SELECT last, hash FROM audit_head WHERE one = 1").Scan(&head.Sequence, &hash)
		copy(head.Hash[:], hash)
		return err
	})
	if err != nil {
		return head, fmt.Errorf("read the head of the audit: %w", table.Unavailable(err))
	}
	return head, nil
}

// HasAuditHead says whether the chain goes through a head that was kept. It looks at
// that one event; VerifyAuditChain looks at all.
func (s *Store) HasAuditHead(ctx context.Context, head AuditHead) (has bool, err error) {
	if head.Sequence == 0 {
		return true, nil
	}
	err = s.engine.Read(ctx, table.EveryAccount, func(tx table.Querier) error {
		var hash []byte
		err := tx.QueryRowContext(ctx, "SELECT hash FROM audit_events WHERE id = $1", head.Sequence).Scan(&hash)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		has = bytes.Equal(hash, head.Hash[:])
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look for a head of the audit: %w", table.Unavailable(err))
	}
	return has, nil
}
