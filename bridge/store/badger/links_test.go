package badger

import (
	"fmt"
	"sync"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
)

// I10: a link ends however many grants came through it; the engine takes the ends of some thousands in one write.
func TestStore_EndLink_I10_many(t *testing.T) {
	t.Parallel()
	const many, atOnce = 9000, 50
	s := openClosed(t, Options{Dir: t.TempDir()})
	link := bridge.Link{ID: "link", Person: bridge.Person{Source: "https://sso.example.com", Subject: "shared"}, Made: bridge.LinkByImport, CreatedAt: testTime}
	_, _, err := s.CreateLink(t.Context(), link, testTime)
	must(t, err)
	var workers sync.WaitGroup
	for first := range atOnce {
		workers.Go(func() {
			for i := first; i < many; i += atOnce {
				_, err := s.StartGrant(t.Context(), bridge.Grant{
					ID: fmt.Sprintf("grant-%05d", i), Status: bridge.GrantLive, Person: link.Person, Link: link.ID, ClientID: "client", CreatedAt: testTime,
				}, testTime)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	_, grants, now, err := s.EndLink(t.Context(), link.ID, bridge.EndRevokedByOperator, testTime)
	must(t, err)
	if !now || len(grants) != many {
		t.Errorf("it ended %d grants of %d, the link: %t", len(grants), many, now)
	}
	if left, err := s.EndUnlinked(t.Context(), testTime); err != nil || len(left) > 0 {
		t.Errorf("%d grants are left, %v", len(left), err)
	}
}
