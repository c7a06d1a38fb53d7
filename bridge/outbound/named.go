package outbound

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Named asks addresses the operator wrote down, and no other.
type Named map[string]*Client

// NewNamed makes a client for each address; timeout covers a whole exchange.
func NewNamed(addresses []string, timeout time.Duration) (Named, error) {
	named := Named{}
	for _, address := range addresses {
		parsed, err := url.Parse(address)
		if err != nil {
			return nil, fmt.Errorf("an address to ask: %w", err)
		}
		named[address] = Fixed(parsed, timeout)
	}
	return named, nil
}

// Get asks f.URL. ErrForbidden when it is none of the addresses, ErrUnreachable when no complete
// answer of at most f.MaxBytes was had.
func (n Named) Get(ctx context.Context, f Fetch) (*Answer, error) {
	client, ok := n[f.URL]
	if !ok {
		return nil, fmt.Errorf("%w: not an address of the configuration", ErrForbidden)
	}
	answer, err := client.Do(ctx, http.MethodGet, "?"+client.base.RawQuery, http.Header{"Accept": {"application/json"}}, nil)
	if err != nil {
		return nil, err
	}
	if len(answer.Body) > f.MaxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrUnreachable, f.MaxBytes)
	}
	return answer, nil
}
