package icp_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
)

// keyPair writes a certificate for loopback and its key.
func (w world) keyPair(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// GnuTLS takes no certificate without a subject and a beginning.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	w.file(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	w.file(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// TestTransports: the same answers over TLS, HTTPS and QUIC.
func TestTransports(t *testing.T) {
	w := newWorld(t)
	w.keyPair(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "accessed.test. 60 IN A "+ours)
	insecure := &tls.Config{InsecureSkipVerify: true} // the certificate is made for this test
	ask := map[string]func(*testing.T, *server, *dns.Msg) *dns.Msg{
		"tls": func(t *testing.T, s *server, m *dns.Msg) *dns.Msg {
			c := &dns.Client{Net: "tcp-tls", TLSConfig: insecure, Timeout: time.Minute}
			r, _, err := c.Exchange(m, s.tcp())
			if err != nil {
				t.Fatal(err)
			}
			return r
		},
		"https": func(t *testing.T, s *server, m *dns.Msg) *dns.Msg {
			c := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure, DisableKeepAlives: true}, Timeout: time.Minute}
			resp, err := c.Post("https://"+s.tcp()+"/dns-query", "application/dns-message", bytes.NewReader(pack(t, m)))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return unpack(t, body)
		},
		"quic": func(t *testing.T, s *server, m *dns.Msg) *dns.Msg {
			m.Id = 0 // RFC 9250 §4.2.1
			tlsConfig := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"doq"}}
			conn, err := quic.DialAddr(t.Context(), s.udp(), tlsConfig, nil)
			for tries := 1; err != nil && tries < 5; tries++ { // a handshake has five seconds, at either end
				conn, err = quic.DialAddr(t.Context(), s.udp(), tlsConfig, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseWithError(0, "")
			stream, err := conn.OpenStreamSync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b := pack(t, m)
			stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
			stream.Close()
			body, err := io.ReadAll(stream)
			if err != nil || len(body) < 2 {
				t.Fatalf("got %q, %v", body, err)
			}
			return unpack(t, body[2:])
		},
	}
	for transport, exchange := range ask {
		t.Run(transport, func(t *testing.T) {
			s := w.startUnsettled(t, transport+"://.:0 {\nSERVER\ntls cert.pem key.pem\nICP\nforward . "+up.addr+"\n}")
			wantBlocked(t, exchange(t, s, query{name: "unfiled.test", qtype: dns.TypeA, edns: true}.msg()), "not filed")
			wantAddresses(t, exchange(t, s, query{name: "accessed.test", qtype: dns.TypeA, edns: true}.msg()), ours)
		})
	}
}

func pack(t *testing.T, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unpack(t *testing.T, b []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	return m
}
