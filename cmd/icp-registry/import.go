package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
	"github.com/icpgate/icpgate/registry/index"
)

// importing are the settings of one import.
type importing struct {
	env
	output     string // the snapshot
	format     string
	encoding   string
	strict     bool
	refused    string // file for the refused rows; "" is none
	blacklist  string // file of blacklisted domains; "" is none
	keepKey    bool
	allowEmpty bool
	record     recording // into the registry of record
}

func importCommand(e env) *cobra.Command {
	im := importing{env: e}
	im.record.opening.env = e
	cmd := &cobra.Command{
		Use:   "import FILE... (-o SNAPSHOT | --server URL | --dir DIRECTORY)",
		Short: "Read filings from files into a snapshot that edges load, or into the registry of record",
		Long: `Reads filings (CSV, JSON lines, or the JSON of tools that ask the ministry's
public query; "-" is the standard input) and merges the rows that speak of one filing.

With --server or --dir they go into the registry of record. They are compared with
what is there, and what would change is counted: nothing is in force yet. Then it is
published, after a question on a terminal, at once with --yes, or later with
"icp-registry import publish ID". --dry-run only counts. An import that changes what
edges decide of more than one filing in a hundred (and 10,000) waits for the word of
a second person ("import approve"), whose token has another owner. "import undo" takes
an import back. What is staged and not published within 30 days ("serve
--keep-imports") is given up; what others have changed between the comparison and the
publication stays as they made it. Without --complete the files add and change; with it they are all
there is, and what they do not name is cancelled.

With -o they make the snapshot that an edge loads with "registry FILE". The files are the whole registry: what an older snapshot held and they do not
is gone. A bad row is refused and named; it never spoils its file. The snapshot
is replaced at once when all is read, and not at all on an error. A snapshot
that is there already lends its epoch and key to the new one, which gets the
next revision number; where it cannot be read, a new epoch begins.

Columns of a CSV file, found by its header in any order, Chinese headers of the
public query's exports included:

  domain, number, entity_number, entity_name, entity_nature, site_name, kind,
  status, province, filed_at, updated_at, provider, access_status, accessed_at,
  restricted, covers, address

One row for each domain and access. No provider column, or an empty one, means
that the accesses are unknown; "-" means that there are none.

Exit codes: 0 all rows are in; 3 it was done, but rows were refused, or the import
waits for somebody's word; 1 nothing was written.`,
		Example: `  icp-registry import filings.csv -o registry.icp
  icp-registry import *.csv --encoding gb18030 --refused refused.csv -o registry.icp
  icp-registry import query.json --format public-query -o registry.icp
  icp-registry import filings.csv --complete --why "monthly list" --server https://registry.example --token-file token.txt
  icp-registry import approve 0f3a5b7c9d1e2f40 --why "compared with the list" --dir /var/lib/icp-registry`,
		Args: needArgs("file to import"),
		RunE: func(cmd *cobra.Command, files []string) error {
			told := im.record.told(cmd)
			if im.record.given() || e.getenv(serverVariable) != "" && (im.output == "" || told != "" || slices.Contains(outputs, im.output)) {
				return im.intoRecord(cmd, files)
			}
			if told != "" {
				return usageError(cmd, withHint(fmt.Errorf("--%s goes with a registry of record", told), "name it with --server or --dir; without --"+told+" the files become a snapshot"))
			}
			if im.output == "" {
				return usageError(cmd, withHint(fmt.Errorf("no snapshot to write"),
					"name it with -o, for example -o "+defaultRegistry+", or a registry of record with --server or --dir"))
			}
			return im.run(cmd, files)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&im.output, "output", "o", "", "the snapshot `FILE` to write; with --server or --dir: table, json or csv")
	f.StringVar(&im.format, "format", "auto", "form of the files: auto, csv, jsonl or public-query (alias miit)")
	f.StringVar(&im.encoding, "encoding", "auto", "encoding of the files: auto, utf-8, gb18030 or utf-16")
	f.BoolVar(&im.strict, "strict", false, "the first bad row ends the import, and nothing is written")
	f.StringVar(&im.refused, "refused", "", "write all refused rows to `FILE`, as CSV")
	f.StringVar(&im.blacklist, "blacklist", "", "`FILE` with the authority's blacklist, a domain a line")
	f.BoolVar(&im.keepKey, "keep-key", true, "keep epoch and key of the snapshot that is there; --keep-key=false begins a new epoch with a new key")
	f.BoolVar(&im.allowEmpty, "allow-empty", false, "write a snapshot without any filing, by which every name is unfiled")
	im.record.flags(cmd)
	cmd.AddCommand(importCommands(e)...)
	completeWords(cmd, "format", "auto", "csv", "jsonl", "public-query")
	completeWords(cmd, "encoding", "auto", "utf-8", "gb18030", "utf-16")
	return cmd
}

func (im *importing) run(cmd *cobra.Command, files []string) error {
	opts, err := im.options()
	if err != nil {
		return usageError(cmd, err)
	}
	if err := im.checkOutput(); err != nil {
		return usageError(cmd, err)
	}
	if err := im.checkPaths(files); err != nil {
		return usageError(cmd, err)
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	b, err := im.builder()
	if err != nil {
		return err
	}
	report, err := im.read(ctx, files, opts, b)
	im.printReport(report)
	if err != nil {
		return fmt.Errorf("import failed, nothing was written: %w", err)
	}
	if report.Filings == 0 && !im.allowEmpty {
		return withHint(fmt.Errorf("import failed, nothing was written: there is no filing in the files"),
			"by an empty registry every name would be unfiled; if that is meant, add --allow-empty")
	}
	if err := im.write(b); err != nil {
		return err
	}
	if report.Refused > 0 {
		return &exitError{code: exitFindings}
	}
	return nil
}

// options are those of the reading.
func (im *importing) options() (o bulk.Options, err error) {
	if im.format == "miit" {
		im.format = bulk.FormatPublicQuery.String()
	}
	if o.Format, err = bulk.ParseFormat(im.format); err != nil {
		return o, err
	}
	if o.Encoding, err = bulk.ParseEncoding(im.encoding); err != nil {
		return o, err
	}
	o.Strict, o.Now, o.Stdin = im.strict, im.now(), im.stdin
	return o, nil
}

// checkOutput refuses what no snapshot can be put in place of, before anything
// is read, and follows a link: the file behind it is what edges load.
func (im *importing) checkOutput() error {
	if im.output == "-" {
		return errors.New("a snapshot cannot be written to the standard output; name a file")
	}
	info, err := os.Stat(im.output)
	if err != nil {
		return nil // it is new, or writing it will say why it cannot be
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%q is no regular file, so no snapshot can take its place; name a file", im.output)
	}
	if path, err := filepath.EvalSymlinks(im.output); err == nil {
		im.output = path
	}
	return nil
}

// checkPaths refuses to write over what is read.
func (im *importing) checkPaths(files []string) error {
	for _, in := range append([]string{im.blacklist}, files...) {
		for _, out := range []string{im.output, im.refused} {
			if in != "" && in != "-" && out != "" && sameFile(in, out) {
				return fmt.Errorf("%q would be read and written over", in)
			}
		}
	}
	if im.refused != "" && sameFile(im.refused, im.output) {
		return fmt.Errorf("%q would be both the snapshot and the refused rows", im.output)
	}
	return nil
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	if err1 == nil && err2 == nil {
		return os.SameFile(x, y)
	}
	return filepath.Clean(a) == filepath.Clean(b)
}

// builder begins the new snapshot, with the blacklist in it.
func (im *importing) builder() (*index.Builder, error) {
	b := index.NewBuilder(im.successor())
	if im.blacklist == "" {
		return b, nil
	}
	f, err := os.Open(im.blacklist)
	if err != nil {
		return nil, fmt.Errorf("blacklist: %w", err)
	}
	defer f.Close()
	list, err := bulk.ReadBlacklist(im.blacklist, f)
	if err != nil {
		return nil, withHint(fmt.Errorf("blacklist: %w", err), "nothing was written: without these lines, blacklisted names would pass")
	}
	for _, d := range list {
		b.Blacklist(d)
	}
	return b, nil
}

// read imports the files into b, with a line of progress on a terminal.
func (im *importing) read(ctx context.Context, files []string, o bulk.Options, b *index.Builder) (bulk.Report, error) {
	if im.refused != "" {
		f, err := os.Create(im.refused)
		if err != nil {
			return bulk.Report{}, fmt.Errorf("file for the refused rows: %w", err)
		}
		defer f.Close() // bulk has reported what could not be written
		o.Refused = io.Writer(f)
	}
	meter := bulk.NewMeter(im.stderr, im.now)
	defer meter.Done()
	o.Progress = meter.Show
	defer debug.SetGCPercent(debug.SetGCPercent(importGCPercent))
	return bulk.ImportShared(ctx, files, o, func() func(registry.Filing) error { return b.Adder().Add })
}

// importGCPercent: rows and records are hundreds of megabytes without pointers, so
// that a collection costs next to nothing, while Go's default would let as much
// garbage again lie beside them.
const importGCPercent = 10

func (im *importing) write(b *index.Builder) error {
	i, err := b.WriteFile(im.output)
	if err != nil {
		return err
	}
	fmt.Fprintf(im.stdout, "wrote %s: %d filings, %d names, %d addresses, %d blacklisted, %d bytes, revision %s\n",
		im.output, i.Filings, i.Names, i.Addresses, i.Blacklisted, i.Bytes, i.Revision)
	return nil
}
