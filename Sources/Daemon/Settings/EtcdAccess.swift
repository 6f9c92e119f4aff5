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
    package let layout: KeyLayout

    package init(settings: SettingValues) throws(UsageError) {
        endpoints = try settings.values(.etcd) { EtcdEndpoint($0) }
        link = EtcdLink(environment: settings.environment)
        let tls = EtcdTLS(
            caFile: try settings.value(.etcdCA, Self.readableFile),
            certificateFile: try settings.value(.etcdCert, Self.readableFile),
            privateKeyFile: try settings.value(.etcdKey, Self.readableFile))
        if (tls.certificateFile == nil) != (tls.privateKeyFile == nil) {
            let missing = Setting.named(tls.certificateFile == nil ? .etcdCert : .etcdKey)
            throw UsageError(missing: missing.flag, allowed: missing.allowedForm)
        }
        self.tls = tls == EtcdTLS() ? nil : tls
        layout = try settings.value(.prefix) { KeyLayout(prefix: $0) } ?? .standard
    }

    private static func readableFile(_ path: String) -> String? { access(path, R_OK) == 0 ? path : nil }
}
