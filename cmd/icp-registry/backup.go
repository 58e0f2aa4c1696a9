package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/store"
)

// fetch puts what the service sends in the place of a file, once check finds it good.
func (a *asking) fetch(ctx context.Context, c *client, from, to, what string, check func(path string) error) error {
	resp, err := c.get(ctx, from)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	part := to + ".part"
	defer os.Remove(part)
	shown := newBar(a.stderr, what, resp.ContentLength, true)
	err = writeWhole(part, func(w io.Writer) error { _, err := io.Copy(io.MultiWriter(w, shown), resp.Body); return err })
	shown.done()
	if err != nil {
		return fmt.Errorf("%s failed, and %s is as it was: %w", what, to, err)
	}
	if err := check(part); err != nil {
		return fmt.Errorf("what came is damaged, and %s is as it was: %w", to, err)
	}
	return os.Rename(part, to)
}

// verified reads a backup to its end.
func verified(path string) (store.BackupInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return store.BackupInfo{}, err
	}
	defer f.Close()
	return store.VerifyBackup(f)
}

// held is what is in a backup, as it is printed.
type held struct {
	File     string         `json:"file"`
	Revision string         `json:"revision"`
	Schema   int            `json:"schema"`
	Rows     map[string]int `json:"rows"`
	SHA256   string         `json:"sha256"`
}

func (a *asking) showBackup(path string, info store.BackupInfo) error {
	h := held{path, info.Revision.String(), info.Schema, info.Rows, fmt.Sprintf("%x", info.Sum)}
	l := listing{whole: h, head: []string{"what", "is"}, rows: [][]string{{"file", h.File}, {"revision", h.Revision}, {"schema", strconv.Itoa(h.Schema)}, {"sha256", h.SHA256}}}
	names := make([]string, 0, len(h.Rows))
	for name := range h.Rows {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if h.Rows[name] > 0 {
			l.rows = append(l.rows, []string{"rows of " + name, strconv.Itoa(h.Rows[name])})
		}
	}
	return a.print(a.stdout, l)
}

func backupCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	verify := false
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all that the registry of record holds to a file, and check it",
		Long: `Writes all that the registry of record holds, at one revision and while others go on,
reads it back and checks it; a file that is there is replaced when that is done. The
form is the same for SQLite and PostgreSQL, which also is the way from one to the
other. Personal data stays encrypted: keep its key (` + personalName + `) too, and not
beside the backup. Tokens are in it as hashes.

With --verify a backup that is there is checked, and nothing else is done.`,
		Example: `  icp-registry backup /backup/icp.$(date +%F) --server https://registry.example --token-file admin.txt
  icp-registry backup --verify /backup/icp.2026-11-27`,
		Args: needOne("file"),
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "check a backup that is there")
	a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		var info store.BackupInfo
		err := a.fetch(ctx, c, api.BackupPath, args[0], "backup", func(part string) (err error) {
			info, err = verified(part)
			return err
		})
		if err != nil {
			return err
		}
		return a.showBackup(args[0], info)
	})
	make := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !verify {
			return make(cmd, args)
		}
		if err := a.output.check(cmd); err != nil {
			return err
		}
		info, err := verified(args[0])
		if err != nil {
			return err
		}
		return a.showBackup(args[0], info)
	}
	return cmd
}

func restoreCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	replace := false
	cmd := &cobra.Command{
		Use:   "restore FILE --dir DIRECTORY",
		Short: "Make a registry of record of a backup, at a new epoch",
		Long: `Checks a backup as a whole, and then makes a registry of record of it: an empty
database has all of it or nothing. The key of personal data must lie in the directory
already (` + personalName + `), or be named with --personal-key. With --replace what is there goes. No service may
run on the database. A new epoch begins: edges go on with what they have, and fetch
a snapshot when the service is there again.`,
		Example: `  icp-registry restore /backup/icp.2026-11-27 --dir /var/lib/icp-registry
  icp-registry restore /backup/icp.2026-11-27 --db postgres:///icp --personal-key personal.key`,
		Args: needOne("file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.output.check(cmd); err != nil {
				return err
			}
			if err := a.find(cmd); err != nil {
				return err
			}
			key, err := store.ReadKey(a.personal)
			if err != nil && !notFound(err) {
				return err
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			info, err := a.restore(ctx, args[0], key, replace)
			if errors.Is(err, store.ErrInUse) {
				return withHint(err, "stop the service that runs on it")
			}
			if err != nil {
				return withHint(err, fmt.Sprintf("nothing was changed; the key of personal data is expected in %s, \"icp-registry backup --verify\" checks a backup, and --replace takes the place of what is there", a.personal))
			}
			return a.showBackup(args[0], info)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&replace, "replace", false, "what is there goes")
	f.StringVar(&a.why, "why", "restore", "the reason, for the journal")
	a.output.flags(cmd)
	a.opening.flags(cmd)
	return cmd
}

func (a *asking) restore(ctx context.Context, path string, key *store.Key, replace bool) (store.BackupInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return store.BackupInfo{}, err
	}
	shown := newBar(a.stderr, "restoring", 2*info.Size(), true)
	defer shown.done()
	by := store.By{Who: "local:" + who(), Owner: who(), Why: a.why}
	got, err := store.Restore(ctx, a.database, store.Options{Now: a.now, Key: key, What: "icp-registry restore"}, by, replace, func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return &watched{f, shown}, nil
	})
	if err != nil {
		return got, fmt.Errorf("restore of %s: %w", path, err)
	}
	return got, nil
}

// watched shows how much of a file was read.
type watched struct {
	*os.File
	shown *bar
}

// Read implements io.Reader.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.File.Read(b)
	_, _ = w.shown.Write(b[:n]) // it never fails
	return n, err
}

func snapshotCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	cmd := &cobra.Command{
		Use:   "snapshot FILE",
		Short: "Write the registry of record as a snapshot file, for edges that follow no feed",
		Long: `Writes the registry as it is now as a file that an edge loads with "registry FILE",
and checks it; a file that is there is replaced at once, which edges notice. It
holds the key of its fingerprints: keep it secret. Edges that follow the feed need
none.`,
		Example: `  icp-registry snapshot registry.icp --server https://registry.example --token-file edge.txt`,
		Args:    needOne("file"),
	}
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		var info index.Info
		err := a.fetch(ctx, c, api.RegistryPath, args[0], "snapshot", func(part string) error {
			x, err := index.ReadFile(part)
			if err == nil {
				info = x.Info()
			}
			return err
		})
		if err != nil {
			return err
		}
		return a.print(a.stdout, listing{
			struct {
				File        string `json:"file"`
				Revision    string `json:"revision"`
				Filings     int    `json:"filings"`
				Names       int    `json:"names"`
				Blacklisted int    `json:"blacklisted"`
				Bytes       int64  `json:"bytes"`
			}{args[0], info.Revision.String(), int(info.Filings), int(info.Names), int(info.Blacklisted), int64(info.Bytes)},
			[]string{"file", "revision", "filings", "names", "blacklisted", "bytes"},
			[][]string{{args[0], info.Revision.String(), fmt.Sprint(info.Filings), fmt.Sprint(info.Names), fmt.Sprint(info.Blacklisted), fmt.Sprint(info.Bytes)}},
		})
	})
}
