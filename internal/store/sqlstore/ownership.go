package sqlstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// A source address, a network and a domain name belong to the account that names them
// first, whether or not they are in use: a SIP request shows no account, so the one that
// could name the address of another's PBX would get its calls. An admin lets an account
// use what is another's by store.Account.SharedSources; there, every connection must
// have a tech prefix or a token of its own. These checks run in the transaction of the
// write. Writes of configuration are made one after the other, on PostgreSQL by the lock
// of the configuration, so of two claims at once the second one sees the first.
// See docs/decisions/0016-ownership-of-addresses.md.

// discriminator is what tells requests for this connection from those for others
// behind the same address: a token, a tech prefix, or nothing. It is what
// policy.Snapshot.BySource goes by.
func discriminator(v *secret.Vault, c *connection.IPConnection) string {
	o := &c.Outbound
	switch {
	case o.IPAuthenticationMethod == "token" && o.IPAuthenticationToken != nil && *o.IPAuthenticationToken != "":
		return "token " + v.Mark(*o.IPAuthenticationToken)
	case o.TechPrefix != "":
		return "prefix " + o.TechPrefix
	}
	return ""
}

// addressKey is how an address is compared by the database: 32 hexadecimal digits.
func addressKey(a netip.Addr) string {
	b := a.As16()
	return hex.EncodeToString(b[:])
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// overlapping is the condition that selects the addresses that share any with a
// network: those within it, and the networks that it is within. args go on from place.
func overlapping(n connection.Network, place int) (condition string, args []any) {
	p := n.Prefix()
	args = []any{addressKey(p.Addr()), addressKey(lastOf(p))}
	var covers []string
	for bits := p.Bits(); bits >= 0; bits-- {
		cover, err := p.Addr().Prefix(bits)
		if err != nil {
			break
		}
		text := cover.String()
		if cover.IsSingleIP() {
			text = cover.Addr().String()
		}
		covers = append(covers, fmt.Sprintf("$%d", place+len(args)))
		args = append(args, text)
	}
	return fmt.Sprintf("(theirs.first_address BETWEEN $%d AND $%d OR theirs.ip_address IN (%s))",
		place, place+1, strings.Join(covers, ", ")), args
}

// sharedWith reports whether an admin lets the account use a network that is another's.
func sharedWith(a *store.Account, n connection.Network) bool {
	p := n.Prefix()
	return slices.ContainsFunc(a.SharedSources, func(text string) bool {
		shared, err := connection.ParseNetwork(text)
		return err == nil && shared.Prefix().Contains(p.Addr()) && shared.Prefix().Bits() <= p.Bits()
	})
}

// checkAddress is the rule for an address that is added or changed.
func checkAddress(ctx context.Context, tx *database.Tx, ip *connection.IP) error {
	var profile id.ID
	var mine string
	if ip.ConnectionID != 0 {
		err := tx.QueryRowContext(ctx, `SELECT profile_id, discriminator FROM ip_connections WHERE account_id = $1 AND id = $2
			UNION ALL SELECT profile_id, discriminator FROM fqdn_connections WHERE account_id = $1 AND id = $2`,
			int64(ip.AccountID), int64(ip.ConnectionID)).Scan(&profile, &mine)
		if errors.Is(err, sql.ErrNoRows) {
			return &collection.ReferenceError{Err: collection.ErrNoReference, Field: "/connection_id",
				Other: ip.ConnectionID.String()}
		}
		if err != nil {
			return err
		}
	}
	var stored string
	err := tx.QueryRowContext(ctx, "SELECT ip_address FROM ips WHERE account_id = $1 AND id = $2",
		int64(ip.AccountID), int64(ip.ID)).Scan(&stored)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	condition, args := overlapping(ip.IPAddress, 2)
	if stored != ip.IPAddress.String() { // a claim
		taken, err := takenByOthers(ctx, tx, "SELECT 1 FROM ips AS theirs WHERE theirs.account_id <> $1 AND "+condition,
			ip.AccountID, args...)
		if err != nil {
			return err
		}
		if taken {
			a, err := readAccount(ctx, tx, ip.AccountID)
			if err != nil {
				return err
			}
			if !sharedWith(&a, ip.IPAddress) {
				return &collection.ReferenceError{Err: store.ErrTaken, Field: "/ip_address", Other: ip.IPAddress.String()}
			}
		}
	}
	if ip.ConnectionID == 0 {
		return nil
	}
	return checkDistinct(ctx, tx, ip, profile, mine, "/ip_address")
}

// takenByOthers runs a query with the rows of all accounts in sight. $1 is the account.
func takenByOthers(
	ctx context.Context, tx *database.Tx, text string, account id.ID, args ...any,
) (taken bool, err error) {
	err = tx.AcrossAccounts(ctx, func() (err error) {
		taken, err = table.Exists(ctx, tx, text, append([]any{int64(account)}, args...)...)
		return err
	})
	return taken, err
}

// checkDistinct is the rule for connections behind one address: within an account, no
// two that have a profile may have the same discriminator; with those of another
// account, none may be without one either.
func checkDistinct(ctx context.Context, tx *database.Tx, ip *connection.IP, profile id.ID, mine, pointer string) error {
	const behind = ` FROM ips AS theirs
		LEFT JOIN ip_connections AS c ON c.account_id = theirs.account_id AND c.id = theirs.connection_id
		LEFT JOIN fqdn_connections AS f ON f.account_id = theirs.account_id AND f.id = theirs.connection_id
		WHERE (c.id IS NOT NULL OR f.id IS NOT NULL) AND `
	const theirs = "COALESCE(c.discriminator, f.discriminator)"
	if profile != 0 {
		taken, err := table.Exists(ctx, tx, `SELECT 1`+behind+`theirs.account_id = $1 AND theirs.ip_address = $2
			AND theirs.connection_id <> $3 AND COALESCE(c.profile_id, f.profile_id) <> 0 AND `+theirs+` = $4`,
			int64(ip.AccountID), ip.IPAddress.String(), int64(ip.ConnectionID), mine)
		if err == nil && taken {
			err = &collection.ReferenceError{Err: collection.ErrDuplicate, Field: pointer,
				Other: "another connection with the same address, and no other tech_prefix or token"}
		}
		if err != nil {
			return err
		}
	}
	condition, args := overlapping(ip.IPAddress, 3)
	taken, err := takenByOthers(ctx, tx, `SELECT 1`+behind+`theirs.account_id <> $1
		AND ($2 = '' OR `+theirs+` = '' OR `+theirs+` = $2) AND `+condition,
		ip.AccountID, append([]any{mine}, args...)...)
	if err == nil && taken {
		err = &collection.ReferenceError{Err: store.ErrIndistinct, Field: pointer, Other: ip.IPAddress.String()}
	}
	return err
}

// claimant is a connection as it is to be, whose addresses are looked at.
type claimant struct {
	account, id, profile id.ID
	discriminator        string
	pointer              string // of what tells it apart
}

// checkConnectionAddresses is the same rule for a connection that is changed.
func checkConnectionAddresses(ctx context.Context, tx *database.Tx, from string, c *claimant) error {
	var was string
	var profile id.ID
	err := tx.QueryRowContext(ctx,
		"SELECT profile_id, discriminator FROM "+from+" WHERE account_id = $1 AND id = $2",
		int64(c.account), int64(c.id)).Scan(&profile, &was)
	if errors.Is(err, sql.ErrNoRows) ||
		err == nil && was == c.discriminator && (profile != 0) == (c.profile != 0) {
		return nil // it has no address yet, or nothing of it matters here
	}
	if err != nil {
		return err
	}
	var addresses []connection.IP
	err = table.Query(ctx, tx, func(rows *sql.Rows) error {
		ip, err := ipNoun().scan(rows.Scan)
		addresses = append(addresses, ip)
		return err
	}, "SELECT "+docColumns+" FROM ips WHERE account_id = $1 AND connection_id = $2 ORDER BY id",
		int64(c.account), int64(c.id))
	if err != nil {
		return err
	}
	for i := range addresses {
		if err := checkDistinct(ctx, tx, &addresses[i], c.profile, c.discriminator, c.pointer); err != nil {
			return err
		}
	}
	return nil
}

// checkName is checkAddress for domain names.
func checkName(ctx context.Context, tx *database.Tx, f *connection.FQDN) error {
	var profile id.ID
	var mine, stored string
	err := tx.QueryRowContext(ctx,
		"SELECT profile_id, discriminator FROM fqdn_connections WHERE account_id = $1 AND id = $2",
		int64(f.AccountID), int64(f.ConnectionID)).Scan(&profile, &mine)
	if errors.Is(err, sql.ErrNoRows) {
		return &collection.ReferenceError{Err: collection.ErrNoReference, Field: "/connection_id",
			Other: f.ConnectionID.String()}
	}
	if err == nil {
		err = tx.QueryRowContext(ctx, "SELECT fqdn FROM fqdns WHERE account_id = $1 AND id = $2",
			int64(f.AccountID), int64(f.ID)).Scan(&stored)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if stored != f.Name() {
		taken, err := takenByOthers(ctx, tx, "SELECT 1 FROM fqdns WHERE account_id <> $1 AND fqdn = $2",
			f.AccountID, f.Name())
		if err != nil {
			return err
		}
		if taken {
			a, err := readAccount(ctx, tx, f.AccountID)
			if err != nil {
				return err
			}
			if !slices.Contains(a.SharedSources, f.Name()) {
				return &collection.ReferenceError{Err: store.ErrTaken, Field: "/fqdn", Other: f.Name()}
			}
		}
	}
	return checkDistinctNames(ctx, tx, f, profile, mine, "/fqdn")
}

// checkDistinctNames is checkDistinct for domain names.
func checkDistinctNames(ctx context.Context, tx *database.Tx, f *connection.FQDN, profile id.ID,
	mine, pointer string) error {
	const behind = ` FROM fqdns AS theirs
		JOIN fqdn_connections AS c ON c.account_id = theirs.account_id AND c.id = theirs.connection_id WHERE `
	if profile != 0 {
		taken, err := table.Exists(ctx, tx, `SELECT 1`+behind+`theirs.account_id = $1 AND theirs.fqdn = $2
			AND theirs.connection_id <> $3 AND c.profile_id <> 0 AND c.discriminator = $4`,
			int64(f.AccountID), f.Name(), int64(f.ConnectionID), mine)
		if err == nil && taken {
			err = &collection.ReferenceError{Err: collection.ErrDuplicate, Field: pointer,
				Other: "another connection with the same domain name, and no other tech_prefix or token"}
		}
		if err != nil {
			return err
		}
	}
	taken, err := takenByOthers(ctx, tx, `SELECT 1`+behind+`theirs.account_id <> $1
		AND ($2 = '' OR c.discriminator = '' OR c.discriminator = $2) AND theirs.fqdn = $3`,
		f.AccountID, mine, f.Name())
	if err == nil && taken {
		err = &collection.ReferenceError{Err: store.ErrIndistinct, Field: pointer, Other: f.Name()}
	}
	return err
}

// checkConnectionNames is checkConnectionAddresses for domain names.
func checkConnectionNames(ctx context.Context, tx *database.Tx, v *secret.Vault,
	c *connection.FQDNConnection) error {
	var names []connection.FQDN
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		f, err := fqdnNoun().scan(rows.Scan)
		names = append(names, f)
		return err
	}, "SELECT "+docColumns+" FROM fqdns WHERE account_id = $1 AND connection_id = $2 ORDER BY id",
		int64(c.AccountID), int64(c.ID))
	if err != nil {
		return err
	}
	for i := range names {
		err := checkDistinctNames(ctx, tx, &names[i], c.Outbound.OutboundVoiceProfileID,
			fqdnDiscriminator(v, c), "/outbound/tech_prefix")
		if err != nil {
			return err
		}
	}
	return nil
}
