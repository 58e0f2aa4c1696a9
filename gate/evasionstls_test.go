package gate_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/internal/hello"
)

// encrypted has Go's client ask a server that holds the keys for an inner name
// under an outer one, and tells whom the server took it for.
func encrypted(t *testing.T, _ *evaded) string {
	pair := newCertificate(t, "filed.example", "unfiled.example")
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	lists := map[string][]byte{}
	for _, public := range []string{"filed.example", "unfiled.example"} {
		key, list, err := hello.ECH(public)
		if err != nil {
			t.Fatal(err)
		}
		conf.EncryptedClientHelloKeys = append(conf.EncryptedClientHelloKeys, key)
		lists[public] = list
	}
	up := gate.LocalTCP(t, func(c net.Conn) {
		s := tls.Server(c, conf)
		if s.Handshake() == nil {
			fmt.Fprint(s, s.ConnectionState().ServerName)
			_ = s.Close()
		}
	})
	admin := freePort(t)
	p := start(t, 1, "tls://127.0.0.1:0 {\n"+withAdmin(admin)+"\nupstream "+up+"\n}", nil)
	var got []string
	for _, names := range [][2]string{{"filed.example", "unfiled.example"}, {"unfiled.example", "filed.example"}} {
		c, err := tls.Dial("tcp", p.addr(t, "tls:"), &tls.Config{
			ServerName: names[1], InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: lists[names[0]],
		})
		if err != nil {
			if !strings.Contains(err.Error(), "unrecognized name") {
				t.Fatal(err)
			}
			got = append(got, "alert 112")
			continue
		}
		b, _ := io.ReadAll(c)
		got = append(got, fmt.Sprintf("passed %s, encrypted %t", b, c.ConnectionState().ECHAccepted))
		c.Close()
	}
	return strings.Join(got, ", ") + ", counted " + scraped(t, admin, `icp_gate_ech_total\{listener="tls:[^}]*\}`)
}

// early has openssl send early data to openssl, in a session that it had before.
func early(t *testing.T, _ *evaded) string {
	cert, up, dir := newCertificate(t, "filed.example"), freePort(t), t.TempDir()
	server := command(t, "openssl", "s_server", "-accept", up, "-cert", cert.Cert, "-key", cert.Key, "-early_data")
	said := &logged{more: make(chan struct{}, 1)}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.StdinPipe(); err != nil { // kept open: its end would be the server's
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	go said.read(out)
	said.await(t, "ACCEPT")
	addr := start(t, 1, "tls://127.0.0.1:0 {\nICP\nupstream "+up+"\n}", nil).addr(t, "tls:")

	session, data := filepath.Join(dir, "session"), filepath.Join(dir, "data")
	if err := os.WriteFile(data, []byte("bytes before the handshake\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := command(t, "openssl", "s_client", "-connect", addr, "-servername", "filed.example", "-sess_out", session)
	in, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is a session", func() bool {
		info, err := os.Stat(session)
		return err == nil && info.Size() > 0
	})
	in.Close()
	_ = first.Wait()
	text := toolIn(t, "", "openssl", "s_client", "-connect", addr, "-servername", "filed.example", "-sess_in", session, "-early_data", data)
	if !strings.Contains(text, "Early data was accepted") {
		return "not accepted"
	}
	said.await(t, "bytes before the handshake")
	return "accepted, " + openssl(t, addr, "-servername", "unfiled.example", "-sess_in", session, "-early_data", data)
}
