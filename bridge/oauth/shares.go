package oauth

import (
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// shares are the rates of many networks, of which those seen last are kept.
type shares struct {
	kept   *lru.Cache[string, *rate.Limiter]
	each   rate.Limit
	atOnce int
}

func newShares(kept int, each rate.Limit, atOnce int) (*shares, error) {
	cache, err := lru.New[string, *rate.Limiter](kept)
	if err != nil {
		return nil, fmt.Errorf("making the rates of networks: %w", err)
	}
	return &shares{kept: cache, each: each, atOnce: atOnce}, nil
}

// of is the share of one. The caller holds its lock.
func (s *shares) of(network string) *rate.Limiter {
	share, known := s.kept.Get(network)
	if !known {
		share = rate.NewLimiter(s.each, s.atOnce)
		s.kept.Add(network, share)
	}
	return share
}
