package store

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// A backup is the same for both databases: a gzip stream of
//
//	"icp registry backup\n"
//	uvarint 1, the version of this form; uvarint version of the schema
//	for each table: its name; uvarint columns, and their names;
//	    rows: 01, and for each column 00 null, 01 zigzag uvarint, 02 text, 03 bytes
//	    00, uvarint of how many rows there were
//	an empty name, and the SHA-256 of all before
//
// Texts and bytes have their length before them, as a uvarint. The log is not in
// it: a restored registry begins a new epoch, of which there is none.
const (
	backupMagic   = "icp registry backup\n"
	backupVersion = 1
)

// backupTables are all tables but the log and the leases, those first to which
// others refer.
var backupTables = []string{"meta", "revision", "entity", "site", "domain", "access", "past", "past_name", "blacklist", "exemption", "server",
	"server_address", "service_number", "psb", "network", "profile", "binding", "suffix", "tld", "journal", "person", "token",
	"sighting", "sighting_host", "batch", "import", "staged"}

// BackupInfo tells what is in a backup.
type BackupInfo struct {
	Revision registry.Revision
	Schema   int
	Rows     map[string]int // by table
	Sum      [32]byte
}

// Backup writes all that the registry holds at one revision, while others go on.
// Personal data stays encrypted: keep the key, and not with the backup.
func (s *Store) Backup(ctx context.Context, w io.Writer) (info BackupInfo, err error) {
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // a level that there is
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(z, sum), 1<<16)
	b := &backupWriter{out: out}
	b.e.b = append(b.e.b, backupMagic...)
	info.Rows = map[string]int{}
	err = s.View(ctx, func(v *View) error {
		info.Revision = v.Revision
		if info.Schema, err = s.version(ctx, v.tx); err != nil {
			return err
		}
		b.e.uint(backupVersion)
		b.e.uint(uint64(info.Schema))
		for _, name := range backupTables {
			if info.Rows[name], err = b.table(ctx, s, v.tx, name); err != nil {
				return fmt.Errorf("table %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return info, fmt.Errorf("backup: %w", err)
	}
	b.e.text("")
	err = errors.Join(b.flush(), out.Flush())
	copy(info.Sum[:], sum.Sum(nil))
	if err == nil {
		_, err = z.Write(info.Sum[:])
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return info, fmt.Errorf("backup: %w", err)
	}
	return info, nil
}

type backupWriter struct {
	out *bufio.Writer
	e   encoder
}

func (b *backupWriter) flush() error {
	_, err := b.out.Write(b.e.b)
	b.e.b = b.e.b[:0]
	return err
}

func (b *backupWriter) table(ctx context.Context, s *Store, q querier, name string) (n int, err error) {
	rows, err := q.QueryContext(ctx, s.e.query("SELECT * FROM "+name))
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	b.e.text(name)
	b.e.uint(uint64(len(columns)))
	for _, c := range columns {
		b.e.text(c)
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return n, err
		}
		b.e.byte(1)
		for i, v := range row {
			if err := b.e.value(v); err != nil {
				return n, fmt.Errorf("column %s: %w", columns[i], err)
			}
		}
		if n++; len(b.e.b) > 1<<15 {
			if err := b.flush(); err != nil {
				return n, err
			}
		}
	}
	b.e.byte(0)
	b.e.uint(uint64(n))
	return n, errors.Join(rows.Err(), b.flush())
}

// The types of values.
const (
	valueNull = byte(iota)
	valueInt
	valueText
	valueBytes
	valueEnd
)

func (e *encoder) value(v any) error {
	switch v := v.(type) {
	case nil:
		e.byte(valueNull)
	case int64:
		e.byte(valueInt)
		e.uint(zigzag(v))
	case string:
		e.byte(valueText)
		e.text(v)
	case []byte:
		e.byte(valueBytes)
		e.text(string(v))
	default:
		return fmt.Errorf("a value of type %T", v)
	}
	return nil
}

// ErrBackup: the file is no backup, or damaged.
var ErrBackup = errors.New("not a whole backup of a registry")

// VerifyBackup reads a backup to its end and checks it, without a database.
func VerifyBackup(r io.Reader) (BackupInfo, error) {
	return readBackup(r, nil)
}

// backupTable is a part of a table as it is read.
type backupTable struct {
	schema int
	table
}

// rowsAtOnce is how many rows of a backup are handed on together.
const rowsAtOnce = 1000

// readBackup reads a backup and hands on its rows; nil only checks it.
func readBackup(r io.Reader, hand func(*backupTable) error) (info BackupInfo, err error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return info, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	b := &backupReader{in: bufio.NewReaderSize(z, 1<<16), sum: sha256.New(), hand: hand}
	info, err = b.all()
	if err == nil {
		_, err = io.Copy(io.Discard, z) // gzip's own checksum stands at its end
	}
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) {
		err = fmt.Errorf("%w: it ends early or is damaged (%w)", ErrBackup, err)
	}
	return info, err
}

type backupReader struct {
	ended bool // the last byte could not be read
	in    *bufio.Reader
	sum   hash.Hash
	buf   []byte
	hand  func(*backupTable) error
}

func (b *backupReader) all() (info BackupInfo, err error) {
	magic, err := b.bytes(uint64(len(backupMagic)))
	if err != nil {
		return info, err
	}
	if string(magic) != backupMagic {
		return info, fmt.Errorf("%w: it begins with %.20q", ErrBackup, magic)
	}
	version, err := b.uint()
	if err != nil {
		return info, err
	}
	if version != backupVersion {
		return info, fmt.Errorf("backup of version %d; this program reads %d: update it", version, backupVersion)
	}
	schema, err := b.uint()
	if err != nil {
		return info, err
	}
	if schema == 0 || schema > uint64(schemaVersion()) {
		return info, fmt.Errorf("backup of schema version %d; this program knows %d: update it", schema, schemaVersion())
	}
	info.Schema, info.Rows = int(schema), map[string]int{}
	for {
		name, err := b.text(maxName)
		if err != nil {
			return info, err
		}
		if name == "" {
			return info, b.end(&info)
		}
		if info.Rows[name], err = b.table(&info, name); err != nil {
			return info, fmt.Errorf("table %s: %w", name, err)
		}
	}
}

// end compares the checksum.
func (b *backupReader) end(info *BackupInfo) error {
	b.sum.Sum(info.Sum[:0])
	var stands [32]byte
	if _, err := io.ReadFull(b.in, stands[:]); err != nil {
		return err
	}
	if stands != info.Sum {
		return fmt.Errorf("%w: its checksum is another one", ErrBackup)
	}
	if info.Rows["meta"] != 1 {
		return fmt.Errorf("%w: it has %d rows of meta", ErrBackup, info.Rows["meta"])
	}
	// The end of the file is read as well: what stands behind has no checksum.
	if _, err := io.ReadFull(b.in, make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("%w: something stands behind its end", ErrBackup)
	}
	return nil
}

// Limits of what a backup may claim.
const (
	maxName    = 64
	maxColumns = 64
	maxValue   = 1 << 30
)

func (b *backupReader) table(info *BackupInfo, name string) (n int, err error) {
	t := &backupTable{schema: info.Schema, table: table{name: name}}
	columns, err := b.uint()
	if err != nil {
		return 0, err
	}
	if columns == 0 || columns > maxColumns {
		return 0, fmt.Errorf("%w: %d columns", ErrBackup, columns)
	}
	for range columns {
		c, err := b.text(maxName)
		if err != nil {
			return 0, err
		}
		if !word(c) || !word(name) {
			return 0, fmt.Errorf("%w: a column %q", ErrBackup, c)
		}
		t.columns = append(t.columns, c)
	}
	for {
		more, err := b.byte()
		if err != nil {
			return n, err
		}
		if more == 0 || len(t.rows) == rowsAtOnce {
			if err := b.handOn(info, t); err != nil {
				return n, err
			}
		}
		if more == 0 {
			break
		}
		row, err := b.row(len(t.columns))
		if err != nil {
			return n, err
		}
		t.rows = append(t.rows, row)
		n++
	}
	told, err := b.uint()
	if err == nil && told != uint64(n) {
		err = fmt.Errorf("%w: %d rows of %d", ErrBackup, n, told)
	}
	return n, err
}

// word reports whether s can be a name in SQL without quotes.
func word(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

func (b *backupReader) handOn(info *BackupInfo, t *backupTable) error {
	if t.name == "meta" {
		if err := info.where(t); err != nil {
			return err
		}
	}
	if b.hand != nil && len(t.rows) > 0 {
		if err := b.hand(t); err != nil {
			return err
		}
	}
	t.rows = nil
	return nil
}

// where reads the revision.
func (info *BackupInfo) where(t *backupTable) error {
	for _, row := range t.rows {
		for i, c := range t.columns {
			v, ok := row[i].(int64)
			switch c {
			case "epoch_made":
				info.Revision.Epoch.Made = v
			case "epoch_random":
				info.Revision.Epoch.Random = uint64(v)
			case "rev":
				info.Revision.Rev = uint64(v)
			default:
				continue
			}
			if !ok {
				return fmt.Errorf("%w: its %s is %v", ErrBackup, c, row[i])
			}
		}
	}
	return nil
}

func (b *backupReader) row(columns int) ([]any, error) {
	row := make([]any, columns)
	for i := range row {
		kind, err := b.byte()
		if err != nil {
			return nil, err
		}
		switch kind {
		case valueNull:
		case valueInt:
			v, err := b.uint()
			if err != nil {
				return nil, err
			}
			row[i] = unzigzag(v)
		case valueText:
			if row[i], err = b.text(maxValue); err != nil {
				return nil, err
			}
		case valueBytes:
			text, err := b.text(maxValue)
			if err != nil {
				return nil, err
			}
			row[i] = []byte(text)
		default:
			return nil, fmt.Errorf("%w: a value of type %d", ErrBackup, kind)
		}
	}
	return row, nil
}

func (b *backupReader) byte() (byte, error) {
	p, err := b.bytes(1)
	if err != nil {
		return 0, err
	}
	return p[0], nil
}

// bytes reads n bytes; a length costs memory only as bytes arrive.
func (b *backupReader) bytes(n uint64) ([]byte, error) {
	b.buf = b.buf[:0]
	for n > 0 {
		some := min(n, 1<<16)
		from := len(b.buf)
		b.buf = append(b.buf, make([]byte, some)...)
		if _, err := io.ReadFull(b.in, b.buf[from:]); err != nil {
			return nil, err
		}
		n -= some
	}
	b.sum.Write(b.buf)
	return b.buf, nil
}

func (b *backupReader) text(most uint64) (string, error) {
	n, err := b.uint()
	if err != nil {
		return "", err
	}
	if n > most {
		return "", fmt.Errorf("%w: a text of %d bytes", ErrBackup, n)
	}
	p, err := b.bytes(n)
	return string(p), err
}

// ReadByte implements io.ByteReader.
func (b *backupReader) ReadByte() (c byte, err error) {
	c, err = b.byte()
	b.ended = err != nil
	return c, err
}

func (b *backupReader) uint() (uint64, error) {
	v, err := binary.ReadUvarint(b)
	if err != nil && !b.ended {
		err = fmt.Errorf("%w: %w", ErrBackup, err) // it is no number
	}
	return v, err
}
