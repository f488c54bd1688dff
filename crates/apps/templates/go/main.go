// A Mattermost app: it answers /ping, /bindings and /send.
package main

import (
	"encoding/json"
	"fmt"
)

// call is what Mattermost sends.
type call struct {
	Path   string                 `json:"path"`
	Values map[string]interface{} `json:"values"`
}

type object map[string]interface{}
type list []interface{}

var form = object{
	"title":  "Say hello",
	"icon":   "icon.png",
	"fields": list{object{"type": "text", "name": "message", "label": "message"}},
	"submit": object{"path": "/send"},
}

var bindings = list{
	object{"location": "/channel_header", "bindings": list{
		object{"location": "send-button", "icon": "icon.png", "label": "Say hello", "form": form},
	}},
	object{"location": "/command", "bindings": list{
		object{"icon": "icon.png", "label": "{{id}}", "description": "Says hello", "hint": "[send]", "bindings": list{
			object{"location": "send", "label": "send", "form": form},
		}},
	}},
}

// answer is what the app says to a call.
func answer(path string, body []byte) object {
	var request call
	if err := json.Unmarshal(body, &request); err != nil {
		return object{"type": "error", "text": "The call is not JSON"}
	}
	switch path {
	case "/ping":
		return object{"type": "ok", "text": "PONG"}
	case "/bindings":
		return object{"type": "ok", "data": bindings}
	case "/send":
		if message, ok := request.Values["message"].(string); ok && message != "" {
			return object{"type": "ok", "text": fmt.Sprintf("You said: %s", message)}
		}
		return object{"type": "ok", "text": "Hello, world"}
	default:
		return object{"type": "error", "text": "There is nothing at " + path}
	}
}

func main() {
	serve(answer)
}
