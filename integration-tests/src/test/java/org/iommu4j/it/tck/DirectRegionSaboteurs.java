// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.Reason;
import org.iommu4j.tck.Ability;
import org.jspecify.annotations.Nullable;

/** Vendors that are wrong about memory that firmware has mapped one to one, with and without opening their driver. */
final class DirectRegionSaboteurs {
    private static final Reason LOCK = new Reason("sabotaged", "nowhere");

    private DirectRegionSaboteurs() {}

    static List<Saboteur> all() {
        return List.of(
                both("forgets what firmware has mapped", region -> null).where(Ability.DIRECT_REGIONS),
                both(
                                "has memory given up that must stay mapped",
                                region -> new ReservedRegion(
                                        region.start(),
                                        region.end(),
                                        ReservedRegion.Type.DIRECT_RELAXABLE,
                                        region.prot()))
                        .where(Ability.DIRECT_REGIONS),
                both(
                                "has the first page alone mapped",
                                region -> new ReservedRegion(
                                        region.start(), region.start() + 0xfff, region.type(), region.prot()))
                        .where(Ability.DIRECT_REGIONS),
                both(
                                "has every right in what firmware has mapped",
                                region -> new ReservedRegion(
                                        region.start(), region.end(), region.type(), Prot.READ_WRITE))
                        .where(traits -> traits.directRegions().values().stream()
                                .flatMap(List::stream)
                                .anyMatch(region -> region.prot() != Prot.READ_WRITE)),
                Saboteur.of(
                                "reserved-1",
                                "has direct regions that can't be mapped",
                                () -> List.of(new Change(
                                        IommuDomain.class,
                                        "map",
                                        call -> call.number(0) == call.number(1)
                                                ? call.with(3, call.number(3) / 2).proceed()
                                                : call.proceed())))
                        .where(Ability.DIRECT_REGIONS),
                locked("does not say that the driver keeps devices", null).where(Ability.KEEPS_DIRECT_DEVICES),
                locked("says that the driver keeps devices, which takes them", LOCK)
                        .where(traits ->
                                traits.has(Ability.DIRECT_REGIONS) && !traits.has(Ability.KEEPS_DIRECT_DEVICES)),
                Saboteur.of(
                                "describe-7",
                                "lets users have what it says it keeps",
                                Iommu.class,
                                "allocate",
                                call -> call.argument(0, DomainType.class) == DomainType.UNMANAGED
                                        ? call.with(0, DomainType.DMA).proceed()
                                        : call.proceed())
                        .where(Ability.KEEPS_DIRECT_DEVICES),
                Saboteur.of(
                                "describe-7",
                                "keeps devices with EINVAL",
                                IommuDomain.class,
                                "attach",
                                Refusals.swap(Errno.EPERM, Errno.EINVAL))
                        .where(Ability.KEEPS_DIRECT_DEVICES));
    }

    /** Changes direct regions alike in a description and in the opened driver; null drops them. */
    private static Saboteur both(String about, UnaryOperator<@Nullable ReservedRegion> change) {
        return Saboteur.of(
                "reserved-1",
                about,
                () -> List.of(
                        new Change(
                                IommuDevice.class,
                                "reservedRegions",
                                call -> changed((List<?>) call.proceed(), change)),
                        new Change(IommuVendor.class, "describe", call -> {
                            HostDescription all = (HostDescription) call.proceed();
                            return with(
                                    all,
                                    all.devices().stream()
                                            .map(device -> changed(device, change))
                                            .toList(),
                                    all.directLock());
                        })));
    }

    private static List<ReservedRegion> changed(List<?> regions, UnaryOperator<@Nullable ReservedRegion> change) {
        return regions.stream()
                .map(ReservedRegion.class::cast)
                .flatMap(region -> region.type().mapped()
                        ? Stream.ofNullable(change.apply(region))
                        : Stream.of(region))
                .toList();
    }

    private static DeviceDescription changed(
            DeviceDescription device, UnaryOperator<@Nullable ReservedRegion> change) {
        List<ReservedRegion> regions = device.reservedRegions();
        return new DeviceDescription(
                device.id(),
                device.translated(),
                device.unit(),
                device.candidates(),
                device.enforceCacheCoherency(),
                device.reasons(),
                regions == null ? null : changed(regions, change),
                device.isolatedInterrupts());
    }

    private static Saboteur locked(String about, @Nullable Reason lock) {
        return Saboteur.of("describe-7", about, IommuVendor.class, "describe", call -> {
            HostDescription all = (HostDescription) call.proceed();
            return with(all, all.devices(), lock);
        });
    }

    private static HostDescription with(HostDescription all, List<DeviceDescription> devices, @Nullable Reason lock) {
        return new HostDescription(
                all.vendor(),
                all.rule(),
                all.everyUnitBlocks(),
                all.units(),
                devices,
                all.parameters(),
                all.warnings(),
                all.virtualization(),
                lock,
                all.refusal());
    }
}
