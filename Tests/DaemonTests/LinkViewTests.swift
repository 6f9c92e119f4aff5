// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Discovery
import Registry
import ServiceModel
import Testing

@Suite struct LinkViewTests {
    @Test func looksNamesUpWhereALinkWould() throws {
        let (web, db) = (try #require(ServiceName("web")), try #require(ServiceName("db")))
        let settings = SettingValues(
            flags: [.resolveNames: ["on", "db=off"], .format: ["web=nerve"]], environment: [:])
        let view = try QueryConfiguration(.services, arguments: [], settings: settings).view
        #expect(view.source(of: web).resolvesNames && view.source(of: web).format == .nerve)
        #expect(!view.source(of: db).resolvesNames)
    }
}
