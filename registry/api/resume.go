package api

import (
	"context"
	"errors"

	"github.com/icpgate/icpgate/registry/store"
)

// Resume goes on with the import in whose midst a service was ended, beside requests,
// and returns it as it is; false where there is none. Others cannot be published
// before. Where another node is at it, or died at it less than 20 seconds ago, that is
// waited for. done is told when all is over: the import, and why it is not done.
func (s *Service) Resume(ctx context.Context, done func(store.Import, error)) (i store.Import, half bool, err error) {
	i, err = s.cfg.Store.Unfinished(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return i, false, nil
	}
	if err != nil {
		return i, false, err
	}
	err = s.jobs.begin(i.ID, func(ctx context.Context) error {
		now, err := s.cfg.Store.Publish(ctx, i.ID, nil)
		done(now, err)
		return err
	}, s.explained)
	return i, err == nil, err
}
