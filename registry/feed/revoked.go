package feed

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
)

// Revoked are certificates that are not good any more though their time has not come,
// in a file that is read again when it changes: revocation lists (PEM, as "openssl ca
// -gencrl" writes them), each signed by one of the authorities, or serial numbers in
// hexadecimal, one a line; "#" begins a comment. A revocation list holds for the
// certificates of who signed it, a serial number for those of all authorities. It is
// safe for concurrent use.
type Revoked struct {
	path   string
	by     []*x509.Certificate
	failed func(error)

	mu     sync.Mutex
	stamp  os.FileInfo // of what was read, or could not be
	serial map[revokedKey]bool
}

// revokedKey is a serial number of an issuer; "" is any.
type revokedKey struct{ issuer, serial string }

// OpenRevoked reads a file whose revocation lists one of the authorities in another
// file has signed. failed, if not nil, is told when it has changed and cannot be
// used; what was in force stays then.
func OpenRevoked(path, authorities string, failed func(error)) (*Revoked, error) {
	text, err := os.ReadFile(authorities)
	if err != nil {
		return nil, err
	}
	r := &Revoked{path: path, failed: failed}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", authorities, err)
		}
		r.by = append(r.by, c)
	}
	r.stamp = stampOf(path)
	r.serial, err = r.read()
	return r, err
}

// Ends reports whether the verified chains of a certificate are good for nothing any
// more: each of them has a certificate that was revoked, be it the last, that of an
// authority between or the root.
func (r *Revoked) Ends(chains [][]*x509.Certificate) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.look()
	for _, chain := range chains {
		// A serial number alone does not mean the root, which is trusted by its file: it
		// may bear that of an edge, of whom another authority made it.
		below := chain[:max(1, len(chain)-1)]
		if !slices.ContainsFunc(below, r.has) && !r.listed(chain[len(chain)-1]) {
			return false
		}
	}
	return len(chains) > 0
}

// look reads the file again if it has changed.
func (r *Revoked) look() {
	if now := stampOf(r.path); !sameFile(now, r.stamp) && (now != nil || r.stamp != nil) {
		r.stamp = now
		serial, err := r.read()
		switch {
		case err == nil:
			r.serial = serial
		case r.failed != nil:
			r.failed(err)
		}
	}
}

// has reports whether a certificate was revoked.
func (r *Revoked) has(c *x509.Certificate) bool {
	return r.serial[revokedKey{"", c.SerialNumber.Text(16)}] || r.listed(c)
}

// listed reports whether a certificate stands on the revocation list of its issuer.
func (r *Revoked) listed(c *x509.Certificate) bool {
	return r.serial[revokedKey{string(c.RawIssuer), c.SerialNumber.Text(16)}]
}

func (r *Revoked) read() (map[revokedKey]bool, error) {
	text, err := os.ReadFile(r.path)
	if err != nil {
		return nil, err
	}
	serial := map[revokedKey]bool{}
	if !bytes.Contains(text, []byte("-----BEGIN ")) {
		err = readSerials(text, serial)
	} else {
		err = r.readLists(text, serial)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.path, err)
	}
	return serial, nil
}

// readSerials reads serial numbers, as openssl shows them, with or without colons.
func readSerials(text []byte, to map[revokedKey]bool) error {
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		word := strings.TrimPrefix(strings.TrimSpace(line), "serial=") // as openssl writes it
		word = strings.ReplaceAll(word, ":", "")
		if word == "" {
			continue
		}
		serial, ok := new(big.Int).SetString(word, 16)
		if !ok || serial.Sign() <= 0 {
			return fmt.Errorf("line %d: %.60q is no serial number; expect hexadecimal, as \"openssl x509 -noout -serial\" shows it", n, word)
		}
		to[revokedKey{"", serial.Text(16)}] = true
	}
	return nil
}

func (r *Revoked) readLists(text []byte, to map[revokedKey]bool) error {
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			return fmt.Errorf("a PEM block of type %q; expect X509 CRL", block.Type)
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return err
		}
		if err := r.signed(list); err != nil {
			return err
		}
		n++
		for _, e := range list.RevokedCertificateEntries {
			if e.ReasonCode == removeFromCRL {
				continue
			}
			to[revokedKey{string(list.RawIssuer), e.SerialNumber.Text(16)}] = true
		}
	}
	if n == 0 {
		return errors.New("no whole revocation list")
	}
	return nil
}

// removeFromCRL takes a certificate off again (RFC 5280 §5.3.1).
const removeFromCRL = 8

// signed checks who has signed a revocation list. One whose time is over holds all
// the same: what was revoked does not become good by waiting.
func (r *Revoked) signed(list *x509.RevocationList) error {
	for _, c := range r.by {
		if bytes.Equal(c.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(c) == nil {
			return nil
		}
	}
	return fmt.Errorf("the revocation list of %q is signed by none of the authorities", list.Issuer)
}
