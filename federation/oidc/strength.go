package oidc

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/federation"
)

// checkStrength refuses a sign-in that was weaker or longer ago than the operator demands. What was
// asked for in the request is a wish to many providers, so that what they say they did is what
// counts: signed, and of the form it must have (OIDC Core §2).
func (p *Provider) checkStrength(signed admission.Claims) error {
	demanded := p.Strength
	if len(demanded.ACR) > 0 && !slices.Contains(demanded.ACR, signed.Text("acr")) {
		return weak("the acr is none of: " + strings.Join(demanded.ACR, ", "))
	}
	if len(demanded.AMR) > 0 {
		methods, _ := signed["amr"].([]any)
		one := func(method any) bool {
			name, ok := method.(string)
			return ok && slices.Contains(demanded.AMR, name)
		}
		if !slices.ContainsFunc(methods, one) {
			return weak("the amr holds none of: " + strings.Join(demanded.AMR, ", "))
		}
	}
	if demanded.MaxAge == 0 {
		return nil
	}
	at, ok := signed["auth_time"].(float64)
	if !ok || at < 1 {
		return weak("there is no auth_time")
	}
	if age := p.Now().Sub(time.Unix(int64(at), 0)); age > demanded.MaxAge+bridge.Leeway || age < -bridge.Leeway {
		return weak("it was too long ago, or is yet to come")
	}
	return nil
}

func weak(why string) error { return fmt.Errorf("%w: %s", federation.ErrWeak, why) }
