// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;

/** What a driver or its unit may be able to do, and what follows where it is not. */
public enum Ability {
    /** Domains of type {@link DomainType#IDENTITY} can be allocated. */
    IDENTITY("allocating an IDENTITY domain is refused with EOPNOTSUPP") {
        @Override
        void assertConsequence(Bench bench) {
            Errnos.assertRefused(Errno.EOPNOTSUPP, () -> bench.iommu().allocate(DomainType.IDENTITY, bench.device()));
        }
    },
    /** A page can be mapped that devices write and can't read. */
    WRITE_ONLY("a page that is mapped for writing alone can be read") {
        @Override
        void assertConsequence(Bench bench) {
            bench.map(bench.attached(), bench.iova(), bench.scratch(), bench.granule(), 1, Prot.WRITE | Prot.CACHE);
            bench.assertReaches(bench.iova(), bench.scratch());
        }
    },
    /** Domains have {@link org.iommu4j.capability.CacheCoherencyEnforcement}; what it answers is a trait of its own. */
    ENFORCEMENT("a domain has no control over no-snoop") {
        @Override
        void assertConsequence(Bench bench) {
            assertThat(bench.attached().cacheCoherencyEnforcement()).isEmpty();
        }
    },
    /** Domains can record which pages devices wrote. */
    DIRTY_TRACKING("a domain has no record of written pages, and the flag is refused with EOPNOTSUPP") {
        @Override
        void assertConsequence(Bench bench) {
            assertThat(bench.attached().dirtyTracking()).isEmpty();
            Errnos.assertRefused(
                    Errno.EOPNOTSUPP,
                    () -> bench.iommu()
                            .allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.DIRTY_TRACKING)));
        }
    },
    /** Domains can be attached to a PASID of the bench's devices. */
    PASID("no domain attaches a PASID of the device, and the flag is refused with EOPNOTSUPP or its domain has none") {
        @Override
        void assertConsequence(Bench bench) {
            // The device may know PASIDs all the same: Linux uses them for shared virtual addressing too.
            assertAttachesNone(bench, bench.domain());
            // Linux asks the machine on AMD-Vi, and the device on VT-d.
            IommuDomain domain;
            try {
                domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.PASID));
            } catch (IommuException e) {
                assertThat(e.errno()).isEqualTo(Errno.EOPNOTSUPP);
                return;
            }
            assertAttachesNone(bench, domain);
        }

        private void assertAttachesNone(Bench bench, IommuDomain domain) {
            domain.pasidAttachment()
                    .ifPresent(pasids -> assertThat(Errnos.of(() -> pasids.attach(bench.device(), 1)))
                            .as("an attachment of PASID 1")
                            .isPresent());
        }
    },
    /** The bench's first device can request pages. */
    PAGE_REQUESTS("the device has no page requests") {
        @Override
        void assertConsequence(Bench bench) {
            assertThat(bench.device().pageRequests()).isEmpty();
        }
    },
    /** Nested domains can be made. */
    NESTING("a domain is no parent of nested ones, and the flag is refused with EOPNOTSUPP") {
        @Override
        void assertConsequence(Bench bench) {
            assertThat(bench.attached().nesting()).isEmpty();
            Errnos.assertRefused(
                    Errno.EOPNOTSUPP,
                    () -> bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.NEST_PARENT)));
        }
    },
    /** The driver reports refused requests. */
    FAULT_REPORTS("no refusal is reported, and none is said to be lost") {
        @Override
        void assertConsequence(Bench bench) {
            bench.assertBlocked(bench.iova());
            assertThat(bench.iommu().takeFaults()).isEmpty();
            assertThat(bench.iommu().faultOverflows()).isZero();
        }
    },
    /** The unit remembers translations, so that an unmapped page is reached until {@code sync}. */
    TRANSLATION_CACHE("an unmapped page is out of reach at once") {
        @Override
        void assertConsequence(Bench bench) {
            var domain = bench.attached();
            bench.map(domain, bench.iova(), bench.scratch());
            bench.assertReaches(bench.iova(), bench.scratch());
            bench.unmapOnly(domain, bench.iova(), bench.granule());
            bench.assertBlocked(bench.iova());
        }
    },
    /** The unit remembers that an entry was not present, so that a new page is refused until {@code syncMap}. */
    NEGATIVE_CACHE("a mapped page is within reach at once") {
        @Override
        void assertConsequence(Bench bench) {
            var domain = bench.attached();
            bench.assertBlocked(bench.iova());
            domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, Bench.READ_WRITE);
            bench.assertReaches(bench.iova(), bench.scratch());
        }
    },
    /** Functions on PCI are behind units; told by the machine. */
    PCI_DEVICES("no function of the machine is taken under care") {
        @Override
        void assertConsequence(Bench bench) {
            bench.machine()
                    .topology()
                    .functions()
                    .forEach(function -> assertThat(bench.iommu()
                                    .probe(function, function.address().requesterId()))
                            .as("%s", function.address())
                            .isEmpty());
        }
    },
    /** Devices that are not on PCI are behind units; told by the machine. */
    NAMED_DEVICES("no device of any name is taken under care, by an open driver or by a closed one") {
        @Override
        void assertConsequence(Bench bench) {
            NamedDevice nothing = new NamedDevice("\\_SB.NONE");
            assertThat(bench.iommu().probe(nothing)).isEmpty();
            bench.machine()
                    .namedDevices()
                    .forEach(device -> assertThat(bench.iommu().probe(device))
                            .as("%s", device)
                            .isEmpty());
            bench.iommu().close();
            assertThat(bench.iommu().probe(nothing)).isEmpty();
        }
    },
    /** Firmware has memory mapped one to one for some device; what and whose is a trait of its own. */
    DIRECT_REGIONS("no device has a region that is to be mapped one to one") {
        @Override
        void assertConsequence(Bench bench) {
            for (DeviceId id : bench.ids()) {
                assertThat(bench.probe(id).reservedRegions())
                        .as("regions of %s", id)
                        .noneMatch(region -> region.type().mapped());
            }
        }
    },
    /** The driver keeps devices from users whose memory must always stay mapped one to one; there is such a device. */
    KEEPS_DIRECT_DEVICES("a domain of a user takes a device whose memory must stay mapped one to one") {
        @Override
        void assertConsequence(Bench bench) {
            for (DeviceId id : bench.ids()) {
                if (bench.traits().isDirect(id)) {
                    IommuDevice device = bench.probe(id);
                    bench.attach(bench.iommu().allocate(DomainType.UNMANAGED, device), device);
                }
            }
        }
    },
    /** A domain takes one of a limited number of ids when it is allocated, fewer than 70,000. */
    ID_PER_DOMAIN("2,000 domains without tables can be there at once") {
        @Override
        void assertConsequence(Bench bench) {
            DomainType type = bench.traits().has(IDENTITY) ? DomainType.IDENTITY : DomainType.BLOCKED;
            for (int i = 0; i < 2_000; i++) {
                bench.iommu().allocate(type, bench.device());
            }
        }
    },
    /** A domain takes one of a unit's ids when a device is attached, and the machine has more devices than ids. */
    ID_PER_ATTACHMENT("each device can be in a domain of its own at the same time") {
        @Override
        void assertConsequence(Bench bench) {
            for (DeviceId id : bench.ids()) {
                IommuDevice device = bench.probe(id);
                bench.attach(bench.iommu().allocate(DomainType.UNMANAGED, device), device);
            }
        }
    },
    /** A domain that blocks no-snoop when it is asked does so through mappings of before too. */
    EARLIER_MAPPINGS("blocking no-snoop leaves mappings of before as they are") {
        @Override
        void assertConsequence(Bench bench) {
            var domain = bench.attached();
            bench.map(domain, bench.iova(), bench.scratch());
            domain.cacheCoherencyEnforcement().ifPresent(control -> control.enforce());
            bench.assertReaches(bench.iova(), bench.scratch());
        }
    },
    /** The unit of the second device can't block no-snoop, that of the first one can. */
    INCOMPATIBLE("a domain that was asked to block no-snoop takes the second device too") {
        @Override
        void assertConsequence(Bench bench) {
            var domain = bench.attached();
            domain.cacheCoherencyEnforcement().ifPresent(control -> control.enforce());
            bench.attach(domain, bench.second());
            bench.map(domain, bench.iova(), bench.scratch());
            bench.assertReaches(bench.secondRequester(), bench.iova(), bench.scratch());
        }
    },
    /** Reports of refused requests with a PASID tell it. */
    FAULT_PASIDS("a report of a refused request with a PASID does not tell it") {
        @Override
        void assertConsequence(Bench bench) {
            bench.requester().withPasid(1).read(bench.iova(), false);
            assertThat(bench.iommu().takeFaults())
                    .extracting(DmaFault::pasid)
                    .allMatch(pasid -> pasid == DmaFault.NO_PASID);
        }
    },
    /** The unit answers the first device's ATS translation requests. */
    TRANSLATION_REQUESTS("a translation request of the device is granted nothing") {
        @Override
        void assertConsequence(Bench bench) {
            bench.map(bench.attached(), bench.iova(), bench.scratch());
            SiliconBench silicon = new SiliconBench(bench.subject());
            long answer = bench.machine()
                    .unit(silicon.unit(bench.device().id()))
                    .requestTranslation(
                            silicon.sourceId(bench.device().id()),
                            TranslationUnit.NO_PASID,
                            bench.iova(),
                            RequestFlags.READ);
            assertThat(Translation.isFault(answer))
                    .as("%s is a refusal", Translation.toString(answer))
                    .isTrue();
        }
    },
    /** The silicon reads tables in a memory image. */
    TABLE_READER("no registers have a reader of tables") {
        @Override
        void assertConsequence(Bench bench) {
            SiliconBench silicon = new SiliconBench(bench.subject());
            Map<Integer, Long> words = new HashMap<>();
            TranslationUnit unit = bench.machine().units().get(0);
            for (int offset = 0; offset < 256; offset += 8) {
                words.put(offset, unit.readRegister64(offset));
            }
            RegisterDump dump = new RegisterDump(unit.spec().registerBase(), words);
            assertThat(silicon.provider().reader(dump, new NoMemory())).isEmpty();
        }
    },
    /** The driver waits for the unit's invalidations, which can fail to complete. */
    COMPLETION("no call waits for the unit") {
        @Override
        void assertConsequence(Bench bench) {
            assertThat(bench.iommu().quarantinedFrames()).isZero();
        }
    };

    private final String consequence;

    Ability(String consequence) {
        this.consequence = consequence;
    }

    /** Returns, in words, what is asserted where the ability is absent. */
    public String consequence() {
        return consequence;
    }

    abstract void assertConsequence(Bench bench);

    /** Returns the abilities that this one is nothing without. */
    Set<Ability> implied() {
        return this == PAGE_REQUESTS ? EnumSet.of(PASID) : EnumSet.noneOf(Ability.class);
    }
}
