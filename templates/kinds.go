package templates

import (
	"errors"
	"fmt"
)

// kind is what Write must know of a page before it renders it.
type kind struct {
	name string // of its file
	form bool   // it holds a form that posts to this origin
}

var errPage = errors.New("no such page")

func pageNames() []string {
	return []string{
		"choose", "bound", "link", "source-problem",
		"signin", "code", "second-factor", "enrol", "recovery", "consent", "onward", "return", "problem", "home", "help", "privacy",
		"door", "connections", "signed-out",
	}
}

// kindOf finds the kind of a page struct and checks the addresses it would link to.
func kindOf(page any) (kind, error) {
	switch p := page.(type) {
	case ChoosePage:
		return kind{"choose", false}, checkOwns(append([]string{p.EmailURL}, p.urls()...)...)
	case BoundPage:
		return kind{"bound", false}, checkOwns(p.URL, p.Back)
	case LinkPage:
		return kind{"link", true}, checkOwns(p.ChooseURL)
	case SourceProblemPage:
		return kind{"source-problem", false}, errors.Join(checkOwn(p.RetryURL), checkExit(p.ReturnURL))
	case SignInPage:
		return kind{"signin", true}, checkOwns(p.ChooseURL)
	case CodePage:
		return kind{"code", true}, nil
	case SecondFactorPage:
		return kind{"second-factor", true}, nil
	case EnrolPage:
		return kind{"enrol", true}, checkAuthenticator(p.URI)
	case RecoveryPage:
		return kind{"recovery", true}, nil
	case ConsentPage:
		return kind{"consent", true}, nil
	case OnwardPage:
		return kind{"onward", false}, checkExit(p.URL)
	case ReturnPage:
		return kind{"return", false}, checkExit(p.URL)
	case ProblemPage:
		return kind{"problem", false}, checkOwn(p.RetryURL)
	case DoorPage:
		return kind{"door", false}, nil
	case ConnectionsPage:
		return kind{"connections", true}, checkOwns(p.Later, p.Earlier)
	case SignedOutPage:
		if p.URL == "" {
			return kind{"signed-out", false}, nil
		}
		return kind{"signed-out", false}, checkExit(p.URL)
	case HomePage:
		return kind{"home", false}, nil
	case HelpPage:
		return kind{"help", false}, nil
	case PrivacyPage:
		return kind{"privacy", false}, nil
	}
	return kind{}, fmt.Errorf("%w: %T", errPage, page)
}
