package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// NumberState is what became of a service number. The zero value is NumberFree.
type NumberState uint8

// The states.
const (
	NumberFree  NumberState = iota // not used yet
	NumberGiven                    // given to another account, not used yet
	NumberSpent                    // a filing was made with it; for ever
)

var numberStateWords = []string{"free", "given", "spent"}

// String returns the word of n, for example "spent".
func (n NumberState) String() string {
	if int(n) < len(numberStateWords) {
		return numberStateWords[n]
	}
	return fmt.Sprintf("NumberState(%d)", uint8(n))
}

// MarshalText writes the word of n.
func (n NumberState) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (n *NumberState) UnmarshalText(b []byte) error {
	i := slices.Index(numberStateWords, string(b))
	if i < 0 {
		return fmt.Errorf("unknown state %q; expect one of %s", b, strings.Join(numberStateWords, ", "))
	}
	*n = NumberState(i)
	return nil
}

// ServiceNumber ties one filing to one server (备案服务码).
type ServiceNumber struct {
	Number  string
	Server  string
	State   NumberState
	Account string // whose it is; that of the server, unless it was given away
	Filing  string // the key of the filing that it was spent for
}

// AddServiceNumber makes a number of a server, within its quota, for an account;
// that of the server if it is empty.
func (e *Edit) AddServiceNumber(number, server, account string) error {
	t := e.t
	v, err := t.server(server)
	if err != nil {
		return err
	}
	if v == nil {
		return fmt.Errorf("server %q: %w", server, ErrNotFound)
	}
	n := ServiceNumber{Server: server}
	if n.Number, err = oneName("service number", number); err != nil {
		return err
	}
	if n.Account, err = oneName("account", account); err != nil {
		return err
	}
	if n.Number == "" {
		return fmt.Errorf("%w: an empty service number", ErrInvalid)
	}
	if was, err := t.serviceNumber(n.Number); err != nil || was != nil {
		if err == nil {
			err = fmt.Errorf("%w: service number %q is one of server %q", ErrInvalid, number, was.Server)
		}
		return err
	}
	var used int
	if err := t.row("SELECT count(*) FROM service_number WHERE server_id = ?", server).Scan(&used); err != nil {
		return err
	}
	if used >= v.Quota {
		return fmt.Errorf("%w: server %q has used all %d of its service numbers", ErrInvalid, server, v.Quota)
	}
	if n.Account == "" {
		n.Account = v.Account
	}
	if n.Account != v.Account {
		n.State = NumberGiven
	}
	return t.putServiceNumber(nil, &n)
}

// SpendServiceNumber ties a number to a filing, for ever.
func (e *Edit) SpendServiceNumber(number, filing string) error {
	t := e.t
	was, err := t.unspent(number)
	if err != nil {
		return err
	}
	if _, err := t.mustFind(filing); err != nil {
		return err
	}
	n := *was
	n.State, n.Filing = NumberSpent, filing
	return t.putServiceNumber(was, &n)
}

// GiveServiceNumber hands a number that is not spent to another account.
func (e *Edit) GiveServiceNumber(number, account string) error {
	t := e.t
	was, err := t.unspent(number)
	if err != nil {
		return err
	}
	n := *was
	n.State = NumberGiven
	if n.Account, err = oneName("account", account); err != nil {
		return err
	}
	return t.putServiceNumber(was, &n)
}

// RemoveServiceNumber takes out a number that no filing was made with: one that was
// entered by mistake.
func (e *Edit) RemoveServiceNumber(number string) error {
	t := e.t
	was, err := t.unspent(number)
	if err != nil {
		return err
	}
	t.note("service-numbers", number, was, nil)
	return t.exec("DELETE FROM service_number WHERE number = ?", number)
}

// ServiceNumber returns a number as it is within the change, or ErrNotFound.
func (e *Edit) ServiceNumber(number string) (ServiceNumber, error) {
	n, err := e.t.mustServiceNumber(number)
	if err != nil {
		return ServiceNumber{}, err
	}
	return *n, nil
}

// unspent returns a number with which something can still be done.
func (t *tx) unspent(number string) (*ServiceNumber, error) {
	n, err := t.mustServiceNumber(number)
	if err == nil && n.State == NumberSpent {
		err = fmt.Errorf("%w: service number %q was spent for filing %q, for ever; use another one", ErrInvalid, number, n.Filing)
	}
	return n, err
}

func (t *tx) mustServiceNumber(number string) (*ServiceNumber, error) {
	n, err := t.serviceNumber(number)
	if err == nil && n == nil {
		err = fmt.Errorf("service number %q: %w", number, ErrNotFound)
	}
	return n, err
}

func (t *tx) putServiceNumber(was, n *ServiceNumber) error {
	var before any
	if was != nil {
		before = was
	}
	t.note("service-numbers", n.Number, before, n)
	return t.insert("service_number", []string{"number", "server_id", "state", "account", "filing"},
		"ON CONFLICT (number) DO UPDATE SET state = excluded.state, account = excluded.account, filing = excluded.filing",
		[]any{n.Number, n.Server, int64(n.State), n.Account, n.Filing})
}

func (t *tx) serviceNumber(number string) (*ServiceNumber, error) {
	list, err := t.s.serviceNumbers(t.ctx, t, "WHERE number = ?", number)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// ServiceNumbers returns the service numbers of a server, or all for "".
func (s *Store) ServiceNumbers(ctx context.Context, server string) ([]ServiceNumber, error) {
	if server == "" {
		return s.serviceNumbers(ctx, s.r, "")
	}
	return s.serviceNumbers(ctx, s.r, "WHERE server_id = ?", server)
}

// ServiceNumbersAfter returns service numbers in their order, at most limit of them,
// after one; "" is before all.
func (s *Store) ServiceNumbersAfter(ctx context.Context, number string, limit int) ([]ServiceNumber, error) {
	return s.serviceNumbers(ctx, s.r, "WHERE number IN (SELECT number FROM service_number WHERE number > ? ORDER BY number LIMIT ?)", number, limit)
}

func (s *Store) serviceNumbers(ctx context.Context, q querier, where string, args ...any) (list []ServiceNumber, err error) {
	err = s.each(ctx, q, "SELECT number, server_id, state, account, filing FROM service_number "+where+" ORDER BY number", args, func(rows *sql.Rows) error {
		var n ServiceNumber
		err := rows.Scan(&n.Number, &n.Server, &n.State, &n.Account, &n.Filing)
		list = append(list, n)
		return err
	})
	return list, err
}
