// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Etcd
private import Glibc
package import Registry

/// Which etcd, and where in it: what every command needs that speaks with the registry.
package struct EtcdAccess: Sendable {
    /// What the operator names; empty when etcd is to be found (`EtcdSearch`).
    package let endpoints: [EtcdEndpoint]
    /// By which the search begins; nil when there is no such link.
    package let link: EtcdLink?
    package let tls: EtcdTLS?
    package let credentials: EtcdCredentials?
    /// Whether what is found is to be asked by https.
    package let requiresTLS: Bool
    package let layout: KeyLayout

    package init(settings: SettingValues) throws(UsageError) {
        requiresTLS = try settings.isOn(.requireTLS)
        endpoints = try settings.values(.etcd) { EtcdEndpoint($0) }
        if requiresTLS { try Self.refusePlaintext(settings) }
        link = EtcdLink(environment: settings.environment)
        let tls = EtcdTLS(
            caFile: try settings.value(.etcdCA, Self.readableFile),
            certificateFile: try settings.value(.etcdCert, Self.readableFile),
            privateKeyFile: try settings.value(.etcdKey, Self.readableFile))
        if (tls.certificateFile == nil) != (tls.privateKeyFile == nil) {
            throw Self.missing(tls.certificateFile == nil ? .etcdCert : .etcdKey)
        }
        self.tls = tls == EtcdTLS() ? nil : tls
        credentials = try Self.credentials(settings)
        var layout = try settings.value(.prefix) { KeyLayout(prefix: $0) } ?? .standard
        layout.order = try settings.value(.layout) { KeyLayout.Order(rawValue: $0) } ?? .serviceFirst
        self.layout = layout
    }

    private static func refusePlaintext(_ settings: SettingValues) throws(UsageError) {
        for given in try settings.given(.etcd) where EtcdEndpoint(given.text)?.usesTLS == false {
            let flag = Setting.named(.requireTLS).flag
            throw UsageError(given.key, value: given.text, allowed: "https://HOST[:PORT] alone, because of \(flag)")
        }
    }

    // MARK: Users

    /// etcdctl's own variables, in which a password may stand as it is.
    private static let etcdctlUser = "ETCDCTL_USER"
    private static let etcdctlPassword = "ETCDCTL_PASSWORD"

    private static func credentials(_ settings: SettingValues) throws(UsageError) -> EtcdCredentials? {
        let file = try settings.value(.etcdPasswordFile, readableFile)
        guard let given = try settings.given(.etcdUser).first else {
            if file != nil { throw missing(.etcdUser) }
            return nil
        }
        let parts = given.text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let setting = Setting.named(.etcdUser)
        guard !parts[0].isEmpty, parts.count == 1 || given.key == etcdctlUser else {
            throw UsageError(given.key, value: setting.shown(given.text), allowed: setting.allowedForm)
        }
        if let file { return EtcdCredentials(user: parts[0], password: .file(file)) }
        let passwords = [settings.environment[etcdctlPassword], parts.count > 1 ? parts[1] : nil]
        guard let password = passwords.compactMap(\.self).first(where: { !$0.isEmpty }) else {
            throw missing(.etcdPasswordFile)
        }
        return EtcdCredentials(user: parts[0], password: .literal(password))
    }

    private static func missing(_ name: SettingName) -> UsageError {
        UsageError(missing: Setting.named(name).flag, allowed: Setting.named(name).allowedForm)
    }

    private static func readableFile(_ path: String) -> String? { access(path, R_OK) == 0 ? path : nil }
}
