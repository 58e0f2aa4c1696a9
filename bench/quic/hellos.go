//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"slices"

	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// hello is the hello of Go's client of QUIC. Long is one with a post-quantum key,
// as browsers send it, which does not fit into one datagram.
func hello(name string, long bool) []byte {
	conf := &tls.Config{ServerName: name, NextProtos: []string{"h3"}, MinVersion: tls.VersionTLS13}
	if !long {
		conf.CurvePreferences = []tls.CurveID{tls.X25519}
	}
	c := tls.QUICClient(&tls.QUICConfig{TLSConfig: conf})
	defer c.Close()
	c.SetTransportParameters(make([]byte, parameters))
	fatal(c.Start(context.Background()))
	var b []byte
	for e := c.NextEvent(); e.Kind != tls.QUICNoEvent; e = c.NextEvent() {
		if e.Kind == tls.QUICWriteData {
			b = append(b, e.Data...)
		}
	}
	return b
}

// parameters is how many bytes of transport parameters clients send, more or less.
const parameters = 80

func hellos(names []string, long bool) [][]byte {
	list := make([][]byte, len(names))
	for i, name := range names {
		list[i] = hello(name, long)
	}
	return list
}

// ids makes connection ids that have not been there. The zero value is ready.
type ids struct{ n uint64 }

func (x *ids) next() []byte {
	const odd = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	x.n++
	return binary.BigEndian.AppendUint64(nil, x.n*odd)
}

// size of the datagrams of clients that begin a connection, Chromium's.
const initialSize = 1250

// datagrams are those in which a client begins a connection.
func datagrams(id, hello []byte) [][]byte {
	if len(hello) < 1100 {
		return [][]byte{initial.Packet{DCID: id, Payload: initial.Crypto(0, hello), Size: initialSize}.Seal()}
	}
	return scrambled(id, hello)
}

// scrambled cuts a hello into the frames of two datagrams as Chromium does: twenty
// or so, in no order, with PING and PADDING between them.
func scrambled(id, hello []byte) (list [][]byte) {
	const pieces = 20
	var frames [2][]byte
	step := (len(hello) + pieces - 1) / pieces
	for k := range pieces {
		i := k * 7 % pieces
		at, end := min(i*step, len(hello)), min((i+1)*step, len(hello))
		f := &frames[k*2/pieces]
		*f = append(*f, initial.Crypto(at, hello[at:end])...)
		if k%3 == 0 {
			*f = append(*f, 1, 0, 0) // PING and PADDING
		}
	}
	for n, payload := range frames {
		list = append(list, initial.Packet{DCID: id, Number: uint64(n + 1), Payload: payload, Size: initialSize}.Seal())
	}
	return list
}

// serverFlight is the first datagram of a server that takes a connection: all
// that can be seen of it are the ids.
func serverFlight(id []byte) []byte {
	const handshake = 2
	b := initial.Header(initial.V1, handshake, nil, id)
	b = append(b, initial.Varint(1000)...)
	return append(b, make([]byte, 1000)...)
}

// short is a datagram with a short header that bears an id.
func short(id []byte, size int) []byte {
	return append(slices.Concat([]byte{0x40}, id), make([]byte, size-1-len(id))...)
}
