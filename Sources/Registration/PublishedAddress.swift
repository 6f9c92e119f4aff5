// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Decides the address under which others reach what listens here.
///
/// The address that it listens on, when others can dial that; else a container's label; else `--advertise`; else
/// `--advertise-interface`; else the source address of our connection to etcd, but never one that belongs to a container.
/// Unspecified addresses are never published, loopback only when allowed.
package struct PublishedAddress: Sendable {
    /// Where it listens, as given; nil when that is not known.
    package var binding: IPAddress?
    /// What the container's label `legation.address` says.
    package var label: String?
    /// Every address that an engine has given to a container: no other host need reach one.
    package var containerAddresses: Set<IPAddress> = []
    /// `--advertise`: one of each family at most.
    package var advertise: [IPAddress] = []
    /// `--advertise-interface`.
    package var interface: String?
    /// `--allow-loopback`.
    package var allowsLoopback = false
    /// The addresses of a network interface of this host; empty when there is none of that name.
    package var addressesOfInterface: @Sendable (String) -> [IPAddress]
    /// Of our connection to etcd; nil when it cannot be told.
    package var sourceAddress: @Sendable () -> IPAddress?

    package init(
        binding: IPAddress?, advertise: [IPAddress] = [], interface: String? = nil, allowsLoopback: Bool = false,
        addressesOfInterface: @escaping @Sendable (String) -> [IPAddress],
        sourceAddress: @escaping @Sendable () -> IPAddress?
    ) {
        self.binding = binding
        self.advertise = advertise
        self.interface = interface
        self.allowsLoopback = allowsLoopback
        self.addressesOfInterface = addressesOfInterface
        self.sourceAddress = sourceAddress
    }

    /// - Throws: an error that names the flag that would help.
    package func choose() throws(IdentityError) -> IPAddress { try choose(inFamily: nil) }

    /// - Parameter isV4: the family to be preferred where both are given or an interface has both; nil for the binding's of what
    ///   is given, and for IPv4 of an interface, where a listener on `[::]` may well be on both.
    func choose(inFamily isV4: Bool?) throws(IdentityError) -> IPAddress {
        if let binding, !binding.isUnspecified, !binding.isLoopback { return binding }
        if let label {
            guard let address = IPAddress(label) else {
                throw IdentityError(flag: Self.labelName, message: "the container's label \(label) is no IP address")
            }
            return try checked(address, flag: Self.labelName)
        }
        if let first = advertise.first {
            let family = isV4 ?? binding?.isV4
            return try checked(advertise.first { $0.isV4 == family } ?? first, flag: "--advertise")
        }
        if let interface {
            let found = addressesOfInterface(interface).filter(Self.isOfUse)
            guard let best = found.first(where: { $0.isV4 == isV4 ?? true }) ?? found.first else {
                throw IdentityError(flag: "--advertise-interface", message: "\(interface) has no address of use")
            }
            return try checked(best, flag: "--advertise-interface")
        }
        // Who listens on loopback alone is not reached under any other address of ours: better no entry than a dead one.
        if let binding, binding.isLoopback { return try checked(binding, flag: "--allow-loopback") }
        guard let source = sourceAddress() else {
            throw IdentityError(flag: "--advertise", message: "which of our addresses to publish cannot be told")
        }
        guard !containerAddresses.contains(source) else {
            throw IdentityError(
                flag: "--advertise",
                message: "\(source), our address towards etcd, is a container's own, which other hosts need not reach: "
                    + "this process runs in a container; give the host's address")
        }
        return try checked(source, flag: "--advertise")
    }

    private func checked(_ address: IPAddress, flag: String) throws(IdentityError) -> IPAddress {
        guard Self.isOfUse(address) else {
            throw IdentityError(flag: flag, message: "\(address) can be published by nobody; give a host's own address")
        }
        guard allowsLoopback || !address.isLoopback else {
            throw IdentityError(
                flag: flag,
                message: "\(address) is a loopback address, which only this host reaches; "
                    + "publish it with --allow-loopback or another one with --advertise")
        }
        return address
    }

    /// Whether it is one host's own, and means the same on another: not unspecified, not link-local.
    private static func isOfUse(_ address: IPAddress) -> Bool {
        !address.isUnspecified && !linkLocal.contains { $0.contains(address) }
    }

    /// RFC 3927 and RFC 4291.
    private static let linkLocal = ["169.254.0.0/16", "fe80::/10"].compactMap { CIDR($0) }
}
