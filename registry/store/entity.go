package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Entity is what is known of the one who filed.
type Entity struct {
	registry.Entity           // as last stated; the name may be personal
	Updated         time.Time // of that; zero: unknown
	Blacklisted     string    // why; empty: it is not
	Erased          time.Time // zero: personal data is kept
	Contact         Contact
}

// Contact is personal data of an entity beside its name. All of it is optional.
type Contact struct {
	Person          string `json:"person,omitempty"`
	Phone           string `json:"phone,omitempty"`
	Mail            string `json:"mail,omitempty"`
	Address         string `json:"address,omitempty"`
	CertificateType string `json:"certificate_type,omitempty"`
	Certificate     string `json:"certificate,omitempty"`
}

// Entity returns the entity of a number, or ErrNotFound.
func (s *Store) Entity(ctx context.Context, number registry.Number) (e Entity, err error) {
	key := number.Entity().String()
	var nature uint8
	var sealed, contact []byte
	var updated int64
	var why sql.NullString
	var erased sql.NullInt64
	err = s.r.QueryRowContext(ctx, s.e.query("SELECT nature, name, sealed_name, contact, updated_at, listed_why, erased_at FROM entity WHERE number = ?"), key).
		Scan(&nature, &e.Name, &sealed, &contact, &updated, &why, &erased)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("entity %q: %w", key, ErrNotFound)
	}
	if err != nil {
		return Entity{}, err
	}
	e.Number, e.Nature, e.Blacklisted, e.Erased = number.Entity(), registry.Nature(nature), why.String, unmilli(erased)
	if updated != 0 {
		e.Updated = fromUnix(updated)
	}
	if len(sealed) > 0 {
		if e.Name, err = s.seal.open("entity "+key, sealed); err != nil {
			return Entity{}, err
		}
	}
	text, err := s.seal.open("contact "+key, contact)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &e.Contact)
	}
	return e, err
}

// SetContact keeps personal data of an entity, encrypted; the journal tells that it
// was changed, and not to what. Without a key, or for an entity that was erased,
// it is an error.
func (e *Edit) SetContact(number registry.Number, c Contact) error {
	t, key := e.t, number.Entity().String()
	if t.s.seal == nil {
		return fmt.Errorf("%w: there is no key to encrypt personal data with", ErrInvalid)
	}
	var erased sql.NullInt64
	err := t.row("SELECT erased_at FROM entity WHERE number = ?", key).Scan(&erased)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("entity %q: %w", key, ErrNotFound)
	case err != nil:
		return err
	case erased.Valid:
		return fmt.Errorf("%w: the personal data of entity %q was erased, and none is kept of it any more", ErrInvalid, key)
	}
	for what, text := range map[string]*string{
		"person": &c.Person, "phone": &c.Phone, "mail": &c.Mail, "address": &c.Address, "certificate_type": &c.CertificateType, "certificate": &c.Certificate,
	} {
		if *text, err = prose(what, *text); err != nil {
			return err
		}
	}
	t.note("entity", key, nil, map[string]bool{"contact": true})
	return t.exec("UPDATE entity SET contact = ? WHERE number = ?", t.s.seal.seal("contact "+key, shown(c)), key)
}

// Erase removes the personal data of an entity, from its filings too, and keeps
// none of what later imports tell of it. Backups made before still hold it,
// encrypted.
func (e *Edit) Erase(number registry.Number) error {
	t, key := e.t, number.Entity().String()
	n, err := t.ExecContext(t.ctx, t.s.e.query("UPDATE entity SET sealed_name = NULL, contact = NULL, erased_at = ? WHERE number = ?"), t.now.UnixMilli(), key)
	if err != nil {
		return err
	}
	if rows, err := n.RowsAffected(); err != nil || rows == 0 {
		if err == nil {
			err = fmt.Errorf("entity %q: %w", key, ErrNotFound)
		}
		return err
	}
	t.note("entity", key, map[string]bool{"personal": true}, map[string]bool{"personal": false})
	list, err := t.s.loadSites(t.ctx, t, "s.entity_number IN (%s)", []any{key})
	if err != nil {
		return err
	}
	var steps []step
	for _, r := range list {
		if personal(r.f.Entity.Nature) && r.f.Entity.Name != "" {
			f := r.public()
			steps = append(steps, step{r, &f})
		}
	}
	t.erased = nil // it is one more
	return t.apply(steps)
}
