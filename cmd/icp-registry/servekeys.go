package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/icpgate/icpgate/registry/disk"
	"github.com/icpgate/icpgate/registry/feed"
)

// signer opens the key that signs, or makes it with the public key beside it.
func (s *serving) signer() (*feed.Signer, error) {
	path := s.signing
	if path == "" {
		path = filepath.Join(s.dir, signingName)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			if err := makeSigner(path, filepath.Join(s.dir, publicName)); err != nil {
				return nil, err
			}
		}
	}
	return feed.OpenSigner(path)
}

func makeSigner(path, public string) error {
	k, err := feed.GenerateSigner()
	if err != nil {
		return err
	}
	text, err := k.PublicPEM()
	if err != nil {
		return err
	}
	if err := disk.WriteFile(public, text, 0o644); err != nil {
		return err
	}
	if text, err = k.MarshalPEM(); err != nil {
		return err
	}
	return disk.WriteFile(path, text, 0o600)
}

// tls reads how the service is secured; nil for plain HTTP, on loopback.
func (s *serving) tls() (*tls.Config, error) {
	if s.cert == "" {
		host, _, err := net.SplitHostPort(s.listen)
		ip := net.ParseIP(host)
		switch {
		case err != nil:
			return nil, fmt.Errorf("--listen %q: %w", s.listen, err)
		case s.certKey != "" || s.clientCA != "" || s.clientRevoked != "":
			return nil, errors.New("--key, --client-ca and --client-revoked go with --cert")
		case host != "localhost" && (ip == nil || !ip.IsLoopback()):
			return nil, withHint(fmt.Errorf("--listen %s without a certificate: tokens would go over the net in the clear", s.listen), "give --cert and --key, or listen on 127.0.0.1 and let a proxy of this machine speak TLS")
		}
		return nil, nil
	}
	if s.certKey == "" {
		return nil, errors.New("--cert without --key")
	}
	if s.clientCA == "" && s.clientRevoked != "" {
		return nil, errors.New("--client-revoked goes with --client-ca")
	}
	pair, err := feed.OpenKeyPair(s.cert, s.certKey, tells(s.log, "the certificate or its key has changed but cannot be used; what was in force stays", "the certificate can be used again"))
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Get(), nil }}
	if s.clientCA != "" {
		if c.ClientCAs, err = feed.ReadAuthorities(s.clientCA); err != nil {
			return nil, err
		}
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if s.clientRevoked == "" {
		return c, nil
	}
	if s.revoked, err = feed.OpenRevoked(s.clientRevoked, s.clientCA, tells(s.log, "the file of revoked certificates has changed but cannot be used; what was in force stays", "")); err != nil {
		return nil, err
	}
	// Of sessions that are resumed as well.
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if s.revoked.Ends(state.VerifiedChains) {
			return errors.New("the client's certificate, or that of an authority above it, was revoked")
		}
		return nil
	}
	return c, nil
}
