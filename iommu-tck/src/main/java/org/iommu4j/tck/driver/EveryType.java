// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Mapped.attachSecond;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;

/** Domains of every type, and what is constant of them. */
final class EveryType {
    private EveryType() {}

    /** Returns what a domain says of itself, which is constant for its life. */
    static List<Object> constants(IommuDomain domain) {
        return List.of(
                domain.type(),
                domain.iommu(),
                domain.format(),
                domain.pageSizes(),
                domain.apertureStart(),
                domain.apertureEnd(),
                domain.cacheCoherencyEnforcement().isPresent(),
                domain.dirtyTracking().isPresent(),
                domain.pasidAttachment().isPresent(),
                domain.nesting().isPresent(),
                domain.guestInvalidation().isPresent());
    }

    /** Leads a domain through all of its life, and asks it at each turn. */
    static void assertConstant(Bench bench, IommuDomain domain) {
        List<Object> constants = constants(domain);
        ask(bench, domain, constants, "asked again");
        IommuDomain second = bench.iommu().allocate(domain.type(), bench.second());
        ask(bench, domain, constants, "another domain is made");
        bench.attach(domain, bench.device());
        ask(bench, domain, constants, "a device is attached");
        if (domain.type().isPaging()) {
            bench.map(domain, bench.iova(), bench.scratch());
            ask(bench, domain, constants, "a page is mapped");
            bench.map(domain, domain.apertureEnd() - bench.granule() + 1, bench.scratch());
            bench.assertReaches(bench.iova(), bench.scratch());
            ask(bench, domain, constants, "the last page is mapped");
            assertRefused(
                    Errno.EADDRINUSE, () -> domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, READ_WRITE));
            ask(bench, domain, constants, "a page is refused");
        }
        attachSecond(bench, domain);
        ask(bench, domain, constants, "a second device is attached");
        domain.cacheCoherencyEnforcement().ifPresent(control -> control.enforce());
        ask(bench, domain, constants, "no-snoop is to be blocked");
        if (domain.type().isPaging()) {
            bench.unmap(domain, bench.iova(), bench.granule());
            ask(bench, domain, constants, "a page is unmapped");
        }
        assertRefused(Errno.EBUSY, domain::close);
        ask(bench, domain, constants, "closing is refused");
        bench.detach(domain, bench.device());
        ask(bench, domain, constants, "a device is detached");
        bench.attach(domain, bench.device());
        bench.detach(domain, bench.device());
        detachSecond(bench, domain);
        ask(bench, domain, constants, "the last device is detached");
        domain.close();
        ask(bench, domain, constants, "the domain is closed");
        domain.close();
        second.close();
        ask(bench, domain, constants, "all is closed");
    }

    /** Takes the second device out, if it is in. */
    static void detachSecond(Bench bench, IommuDomain domain) {
        Errnos.isDone(EnumSet.of(Errno.EINVAL), () -> bench.detach(domain, bench.second()));
    }

    /** Asserts that a domain says the same as before. */
    static void ask(Bench bench, IommuDomain domain, List<Object> constants, String when) {
        bench.steps().note("%s", when);
        assertThat(constants(domain))
                .as("what the domain says of itself when %s", when)
                .isEqualTo(constants);
    }

    /** Allocates a domain of every type that the subject has, nested ones apart. */
    static List<IommuDomain> ofEveryType(Bench bench) {
        List<IommuDomain> all = new ArrayList<>();
        for (DomainType type : DomainType.values()) {
            if (type != DomainType.NESTED
                    && (type != DomainType.IDENTITY || bench.traits().has(Ability.IDENTITY))) {
                bench.steps().note("allocate(%s)", type);
                all.add(bench.iommu().allocate(type, bench.device()));
            }
        }
        return all;
    }

    /** Allocates a domain with a flag. */
    static IommuDomain flagged(Bench bench, DomainFlag flag) {
        bench.steps().note("allocate(UNMANAGED, %s)", flag);
        return bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flag));
    }
}
