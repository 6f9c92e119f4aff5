// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Etcd
import Logging
import ServiceModel
import TestSupport
import Testing

/// Users, passwords and TLS, from flags, our variables and etcdctl's.
@Suite struct EtcdAccessTests {
    /// A file that every test can read.
    private static let file = "/proc/self/status"
    private static let secret = "s3cret"

    private func access(
        _ flags: [SettingName: [String]] = [:], _ environment: [String: String] = [:]
    ) throws(UsageError) -> EtcdAccess {
        try EtcdAccess(settings: SettingValues(flags: flags, environment: environment))
    }

    private func complaint(
        _ flags: [SettingName: [String]] = [:], _ environment: [String: String] = [:]
    ) throws -> UsageError {
        do throws(UsageError) {
            _ = try access(flags, environment)
        } catch {
            return error
        }
        throw Unexpected("taken: \(flags) \(environment)")
    }

    @Test func hasNoUserUnlessOneIsNamed() throws {
        #expect(try access().credentials == nil)
        #expect(try access([:], ["ETCDCTL_PASSWORD": Self.secret]).credentials == nil)
    }

    @Test func takesAUserWithItsPasswordsFile() throws {
        let wanted = EtcdCredentials(user: "alice", password: .file(Self.file))
        #expect(try access([.etcdUser: ["alice"], .etcdPasswordFile: [Self.file]]).credentials == wanted)
        let variables = ["LEGATION_ETCD_USER": "alice", "LEGATION_ETCD_PASSWORD_FILE": Self.file]
        #expect(try access([:], variables).credentials == wanted)
        let others = ["ETCDCTL_USER": "bob:\(Self.secret)", "ETCDCTL_PASSWORD": Self.secret]
        #expect(try access([:], variables.merging(others) { $1 }).credentials == wanted)
    }

    @Test(arguments: [
        ["ETCDCTL_USER": "alice:\(secret)"], ["ETCDCTL_USER": "alice", "ETCDCTL_PASSWORD": secret],
        ["ETCDCTL_USER": "alice:old", "ETCDCTL_PASSWORD": secret],
        ["ETCDCTL_USER": "alice:\(secret)", "ETCDCTL_PASSWORD": ""],
        ["LEGATION_ETCD_USER": "alice", "ETCDCTL_USER": "bob:his", "ETCDCTL_PASSWORD": secret],
    ])
    func takesThePasswordThatEtcdctlHas(environment: [String: String]) throws {
        let wanted = EtcdCredentials(user: "alice", password: .literal(Self.secret))
        #expect(try access([:], environment).credentials == wanted)
    }

    @Test func keepsColonsInThePasswordOfEtcdctl() throws {
        let credentials = try access([:], ["ETCDCTL_USER": "alice:a:b"]).credentials
        #expect(credentials == EtcdCredentials(user: "alice", password: .literal("a:b")))
    }

    @Test func wantsAUserAndItsPasswordTogether() throws {
        for environment in [[:], ["ETCDCTL_USER": "bob:\(Self.secret)"]] {
            let error = try complaint([.etcdUser: ["alice"]], environment)
            #expect(error.key == "--etcd-password-file" && error.value == nil)
        }
        #expect(try complaint([:], ["ETCDCTL_USER": "alice"]).key == "--etcd-password-file")
        #expect(try complaint([.etcdPasswordFile: [Self.file]]).key == "--etcd-user")
    }

    @Test(arguments: ["alice:\(secret)", ":\(secret)", "alice:\(secret):\(secret)"])
    func neverTakesNorRepeatsAPasswordOutsideAFile(user: String) throws {
        let complaints = [
            try complaint([.etcdUser: [user], .etcdPasswordFile: [Self.file]]),
            try complaint([.etcdUser: [user, user]]), try complaint([:], ["LEGATION_ETCD_USER": user]),
        ]
        for error in complaints {
            #expect(!error.description.contains(Self.secret), "\(error)")
            #expect(error.description.contains("the password goes into a file"))
            #expect(error.key.lowercased().replacing("_", with: "-").hasSuffix("etcd-user"))
        }
    }

    @Test func neverRepeatsThePasswordOfAURL() throws {
        for url in ["http://alice:\(Self.secret)@etcd:2379", "alice:\(Self.secret)@etcd"] {
            let error = try complaint([.etcd: [url]])
            #expect(!error.description.contains(Self.secret), "\(error)")
            #expect(error.description.contains("@etcd"))
        }
    }

    @Test func neverShowsAPasswordOfWhatItHasRead() throws {
        let credentials = try access([:], ["ETCDCTL_USER": "alice:\(Self.secret)"]).credentials
        let configuration = EtcdConfiguration(endpoints: [], credentials: credentials)
        for text in ["\(configuration)", String(reflecting: configuration)] { #expect(!text.contains(Self.secret)) }
    }

    @Test(.row("S1"), arguments: ["http://10.0.0.1:2379", "10.0.0.1:2379", "http://127.0.0.1:2379"])
    func refusesEndpointsWithoutTLSWhenItIsRequired(url: String) throws {
        let error = try complaint([.etcd: ["https://10.0.0.9:2379", url], .requireTLS: ["true"]])
        #expect(error.key == "--etcd" && error.value == url && error.allowed.contains("https://"))
        let variables = ["LEGATION_REQUIRE_TLS": "true", "ETCDCTL_ENDPOINTS": url]
        #expect(try complaint([:], variables).key == "ETCDCTL_ENDPOINTS")
        #expect(try access([.etcd: [url]]).endpoints.count == 1)
    }

    @Test(.row("S1")) func looksForAnEtcdWithTLSWhenItIsRequired() async throws {
        let search = EtcdSearch(lookup: NameLookup { _ in .failure("unknown") }, prober: Nobody())
        let logger = Logger(label: "test")
        for (flag, url) in [("true", "https://127.0.0.1:2379"), ("false", "http://127.0.0.1:2379")] {
            let access = try access([:], ["LEGATION_REQUIRE_TLS": flag, "ETCDCTL_USER": "alice:\(Self.secret)"])
            let configuration = await search.configuration(for: access, logger: logger)
            #expect(configuration.endpoints.map(\.description) == [url])
            #expect(configuration.credentials?.user == "alice")
        }
    }

    private struct Nobody: Prober {
        func accepts(_ endpoint: Endpoint, within limit: Duration) async -> Bool { false }
    }
}
