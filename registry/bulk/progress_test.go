package bulk_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/bulk"
)

func TestMeter(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var b bytes.Buffer
	m := bulk.NewMeterFor(&b, func() time.Time { return now })
	m.Show(bulk.Progress{Rows: 1})
	now = now.Add(time.Second)
	m.Show(bulk.Progress{Rows: 2000, Bytes: 250, Total: 1000})
	m.Show(bulk.Progress{Rows: 2001, Bytes: 251, Total: 1000}) // too soon
	now = now.Add(time.Second)
	m.Show(bulk.Progress{Rows: 4000, Bytes: 500})
	now = now.Add(time.Second)
	m.Show(bulk.Progress{Rows: 4000, Bytes: 1000, Total: 1000, Filings: 10, Of: 3000})
	m.Done()
	const line = "\r\x1b[K"
	want := line + "1 rows" + line + "2000 rows, 2000 rows/s, 25 %, 3s left" + line + "4000 rows, 2000 rows/s" + line + "10 of 3000 filings\n"
	if b.String() != want {
		t.Errorf("got %q; want %q", b.String(), want)
	}
}

func TestMeterIsSilentWithoutATerminal(t *testing.T) {
	var b bytes.Buffer
	m := bulk.NewMeter(&b, time.Now)
	m.Show(bulk.Progress{Rows: 1})
	m.Done()
	if b.Len() != 0 {
		t.Errorf("got %q; want nothing", b.String())
	}
}
