package api

import (
	"net/http"
)

// recordRoutes are how people read and change the registry of record.
func (s *Service) recordRoutes(mux *http.ServeMux) {
	s.filingRoutes()
	s.listRoutes()
	s.serverRoutes()
	s.psbRoutes()
	s.personRoutes()
	s.historyRoutes()
	s.handlingRoutes()
	s.importRoutes(mux)
	s.tokenRoutes()
	s.keepRoutes(mux)
	s.exportRoute(mux)
}
