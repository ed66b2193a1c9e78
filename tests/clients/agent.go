// A WebSocket by gorilla: agent URL [KEY [refused]]. With a key it is an agent.
package main

import (
	"bytes"
	"log"
	"os"

	"github.com/gorilla/websocket"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func introduce(socket *websocket.Conn, key string, refused bool) {
	check(socket.WriteJSON(map[string]string{"type": "auth", "api_key": key}))
	var said map[string]interface{}
	check(socket.ReadJSON(&said))
	wanted := "auth_success"
	if refused {
		wanted = "auth_error"
	} else if said["server_id"] == nil {
		log.Fatal("no server_id: ", said)
	}
	if said["type"] != wanted {
		log.Fatal(said)
	}
}

func main() {
	dialer := websocket.Dialer{EnableCompression: true}
	socket, _, err := dialer.Dial(os.Args[1], nil)
	check(err)
	refused := len(os.Args) > 3
	if len(os.Args) > 2 {
		introduce(socket, os.Args[2], refused)
	}
	if refused {
		_, _, err = socket.ReadMessage()
		if !websocket.IsCloseError(err, 4401) {
			log.Fatal(err)
		}
		return
	}
	messages := map[int][]byte{
		websocket.TextMessage:   bytes.Repeat([]byte("x"), 100000),
		websocket.BinaryMessage: {0, 255},
	}
	for kind, message := range messages {
		check(socket.WriteMessage(kind, message))
		got, echo, err := socket.ReadMessage()
		check(err)
		if got != kind || !bytes.Equal(echo, message) {
			log.Fatal("another message came back")
		}
	}
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	check(socket.WriteMessage(websocket.CloseMessage, bye))
	_, _, err = socket.ReadMessage()
	if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		log.Fatal(err)
	}
}
