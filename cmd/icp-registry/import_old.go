package main

import (
	"fmt"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// successor are the options of the snapshot that follows the one that is there:
// its epoch and key, and the next number. Without one that can be read, a new
// epoch begins.
func (im *importing) successor() index.Options {
	o := index.Options{MadeAt: im.now()}
	if !im.keepKey {
		return o
	}
	old, err := index.ReadFile(im.output)
	switch {
	case notFound(err):
		return o
	case err != nil:
		fmt.Fprintf(im.stderr, "warning: %v; a new epoch begins\n", err)
		return o
	}
	r := old.Info().Revision
	o.Key = old.Key()
	o.Revision = registry.Revision{Epoch: r.Epoch, Rev: r.Rev + 1}
	return o
}
