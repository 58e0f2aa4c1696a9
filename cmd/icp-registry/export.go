package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
	"github.com/icpgate/icpgate/registry/index"
)

// exporting are the settings of one export.
type exporting struct {
	env
	record   target
	registry string
	format   string
	output   string
	personal bool
	mainland string // of rpz
	zone     string // of rpz
	answer   string // of rpz
}

// The forms of an export.
var exportFormats = []string{"csv", "jsonl", "xlsx", "rpz"}

func exportCommand(e env) *cobra.Command {
	x := exporting{env: e, record: target{opening: opening{env: e}}}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all filings as a table, as JSON lines, or as a response policy zone",
		Long: `Writes the filings of the registry of record (--server, --dir or --db), or of a
snapshot (--registry), as csv, jsonl or xlsx, in the columns that import reads.

An export of the registry of record holds all that filings say, at one revision and
in the order in which they were made; imported again it changes nothing. Names of
individuals are left out unless --personal asks for them, which takes a token with
that scope; importing a list without them leaves them as they are. Snapshots hold
neither names of individuals nor more than one name of a filing together.

In csv and xlsx a text that a spreadsheet would take for a formula has an apostrophe
before it, which import takes away; jsonl holds texts as they are.

rpz is a response policy zone for BIND, Unbound, PowerDNS and Knot Resolver: filed
names and all below them pass, and other answers that point into the prefixes of
--mainland are withheld. A response policy zone cannot say all of the rules:

  - Of an answer with addresses in the mainland and elsewhere nothing is left, or
    all, as the server has it: Unbound withholds it.
  - Blacklisted names are withheld wherever they point.
  - Unbound 1.17 withholds filed names, too, when it answers from its cache: it must
    not have one (docs/rpz.md).
  - A filing is enough: whether the site has its access with the provider whose
    address it is, and which product answers there, is not asked.
  - Under a government suffix only the filed names and their www pass, not the
    hosts that a filing lists for all below ("*").
  - Addresses in HTTPS and SVCB records, and those carried in IPv6 addresses, are
    not looked at.
  - Nobody is told why a name is withheld, and a change is in force when the zone
    is loaded again.`,
		Example: `  icp-registry export --server https://registry.example --token-file token.txt --format xlsx -o filings.xlsx
  icp-registry export --dir /var/lib/icp-registry --format jsonl --personal | zstd >filings.jsonl.zst
  icp-registry export --registry registry.icp -o filings.csv
  icp-registry export --format rpz --mainland mainland.txt --zone rpz.example. -o rpz.zone`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(cmd, fmt.Errorf("unexpected %q", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return x.run(cmd) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&x.registry, "registry", "", "a snapshot `FILE`, in place of the registry of record")
	f.StringVar(&x.format, "format", "csv", "csv, jsonl, xlsx or rpz")
	f.StringVarP(&x.output, "output", "o", "-", "the `FILE` to write; - is the standard output")
	f.BoolVar(&x.personal, "personal", false, "with names of individuals, of a registry of record")
	f.StringVar(&x.mainland, "mainland", "", "rpz: `FILE` with the prefixes of the mainland, one a line")
	f.StringVar(&x.zone, "zone", "rpz.icp.", "rpz: the `NAME` of the zone")
	f.StringVar(&x.answer, "answer", "nodata", "rpz: nodata or nxdomain, for what is withheld")
	x.record.flags(cmd)
	completeWords(cmd, "format", exportFormats...)
	completeWords(cmd, "answer", "nodata", "nxdomain")
	return cmd
}

func (x *exporting) run(cmd *cobra.Command) error {
	if !slices.Contains(exportFormats, x.format) {
		return usageError(cmd, fmt.Errorf("format %q; expect csv, jsonl, xlsx or rpz", x.format))
	}
	if x.format == "rpz" && x.mainland == "" {
		return usageError(cmd, withHint(fmt.Errorf("no prefixes of the mainland"), "name their file with --mainland; without it a response policy zone would withhold nothing"))
	}
	if x.format != "rpz" && x.mainland != "" {
		return usageError(cmd, fmt.Errorf("--mainland goes with --format rpz"))
	}
	if x.ofRecord() {
		if x.personal && x.format == "rpz" {
			return usageError(cmd, errors.New("--personal: a response policy zone has no names of people"))
		}
		return x.fromRecord(cmd)
	}
	if x.personal {
		return usageError(cmd, withHint(errors.New("--personal: snapshots hold no personal data"), "name the registry of record with --server or --dir"))
	}
	v, err := index.ReadFile(registryPath(x.registry, x.env))
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	write := func(w io.Writer) error { return x.table(ctx, v, w) }
	if x.format == "rpz" {
		z, err := x.policyZone(v)
		if err != nil {
			return usageError(cmd, err)
		}
		write = func(w io.Writer) error { return z.write(ctx, w) }
	}
	return x.put(write)
}

// put writes to the standard output, or puts what write writes in the place of a file.
func (x *exporting) put(write func(io.Writer) error) error {
	if x.output == "-" {
		b := bufio.NewWriter(x.stdout)
		if err := write(b); err != nil {
			return err
		}
		return b.Flush()
	}
	if err := writeWhole(x.output, write); err != nil {
		return fmt.Errorf("export failed, nothing was written: %w", err)
	}
	return nil
}

// table writes the filings as a table or as JSON lines. A filing with several
// names is written once, under its first one.
func (x *exporting) table(ctx context.Context, v *index.Index, w io.Writer) error {
	out, err := bulk.NewWriter(x.format, w)
	if err != nil {
		return err
	}
	for f := range v.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := out.Write(whole(&f)); err != nil {
			return err
		}
	}
	return out.Close()
}

// whole is a filing as All tells it, under one of its names: that name alone, by
// which rows of the same number are united again.
func whole(f *registry.Filing) *registry.Filing {
	g := *f
	if n := len(g.Site.Domains); n > 1 {
		g.Site.Domains = g.Site.Domains[n-1:]
	}
	return &g
}

// writeWhole puts what write writes in the place of a file: all of it, or nothing.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	b := bufio.NewWriterSize(f, 1<<20)
	if err = write(b); err != nil {
		return err
	}
	if err = b.Flush(); err != nil {
		return err
	}
	if err = f.Chmod(0o640); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
