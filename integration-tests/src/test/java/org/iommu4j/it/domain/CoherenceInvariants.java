// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collection;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.IommuDomain;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * What holds of domains, devices and KVM after any call, asked of the silicon; and the holes by which a release of
 * Linux does not keep it.
 *
 * <p>A hole excuses what it is about and no more, and each excuse is counted: a test says which it expects.
 */
public final class CoherenceInvariants {
    /** Ways in which Linux breaks what it promises. */
    public enum Hole {
        /** A promise that is made when pages are mapped does not reach them. */
        LATE_PROMISE,
        /** A first stage that promised takes a device whose unit can't block no-snoop; its requests then fault. */
        FIRST_STAGE_WITHOUT_SNOOP_CONTROL,
        /** A device that can be enforced is in a domain that never promised, and its file vouches all the same. */
        VOUCHED_WITHOUT_PROMISE
    }

    /**
     * A domain and what is in it.
     *
     * @param space what it maps, the same object for all domains that must hold the same
     * @param enforced whether Linux takes it to block no-snoop
     * @param devices attached to it
     * @param mapped some addresses that are mapped, and can be read
     */
    public record Attached(
            IommuDomain domain, Object space, boolean enforced, List<PciAddress> devices, Collection<Long> mapped) {}

    private static final int ECAP = 0x10;
    private static final long ECAP_SC = 1 << 7;

    private final Machine machine;
    private final Set<Hole> holes;
    private final Set<PciAddress> incapable;
    private final IdentityHashMap<IommuDomain, Boolean> promises = new IdentityHashMap<>();
    private final Map<Hole, Integer> excused = new EnumMap<>(Hole.class);
    private boolean expectedOfKvm;

    /**
     * Makes them for a machine.
     *
     * @param incapable devices whose unit can't block no-snoop
     * @param holes those that the release has
     */
    public CoherenceInvariants(Machine machine, Set<PciAddress> incapable, Set<Hole> holes) {
        this.machine = machine;
        this.incapable = Set.copyOf(incapable);
        this.holes = holes.isEmpty() ? EnumSet.noneOf(Hole.class) : EnumSet.copyOf(holes);
    }

    /** Returns which devices' VT-d unit lacks snoop control (ECAP.SC). */
    public static Set<PciAddress> withoutSnoopControl(Machine machine, Collection<PciAddress> devices) {
        return devices.stream()
                .filter(device -> (unitOf(machine, device).readRegister64(ECAP) & ECAP_SC) == 0)
                .collect(Collectors.toSet());
    }

    /** Returns how often each hole was met. */
    public Map<Hole, Integer> excused() {
        return excused;
    }

    /**
     * Checks all domains that there are: a promise lasts; under one every page blocks no-snoop, and there is no device
     * that can't; domains of one space map the same.
     */
    public void check(String when, List<Attached> domains) {
        promises.keySet().removeIf(known -> domains.stream().noneMatch(each -> each.domain == known));
        for (Attached each : domains) {
            boolean before = promises.getOrDefault(each.domain, false);
            assertThat(each.enforced || !before).as("%s: a promise lasts", when).isTrue();
            promises.put(each.domain, each.enforced);
            for (PciAddress device : each.devices) {
                checkDevice(when, each, device);
            }
            for (Attached other : domains) {
                if (other.space == each.space) {
                    for (long iova : each.mapped) {
                        assertThat(other.domain.translate(iova))
                                .as("%s: domains of one space at 0x%x", when, iova)
                                .isEqualTo(each.domain.translate(iova));
                    }
                }
            }
        }
    }

    private void checkDevice(String when, Attached in, PciAddress device) {
        if (!in.enforced) {
            return;
        }
        boolean faults = false;
        if (incapable.contains(device)) {
            excuse(
                    when + ": " + device + " can't block no-snoop, in a domain that promised",
                    Hole.FIRST_STAGE_WITHOUT_SNOOP_CONTROL);
            faults = true;
        }
        for (long iova : in.mapped) {
            long translation = translate(device, iova);
            assertThat(Translation.isFault(translation))
                    .as("%s: %s faults at 0x%x", when, device, iova)
                    .isEqualTo(faults);
            if (!faults && !Translation.snoopForced(translation)) {
                excuse(
                        String.format("%s: %s passes no-snoop at 0x%x under a promise", when, device, iova),
                        Hole.LATE_PROMISE);
            }
        }
    }

    /** Checks the answer to VFIO_DMA_CC_IOMMU: 1 if and only if all domains promised. */
    public static void checkAnswer(String when, int answer, List<Attached> domains) {
        assertThat(answer)
                .as("%s: VFIO_DMA_CC_IOMMU", when)
                .isEqualTo(domains.stream().allMatch(Attached::enforced) ? 1 : 0);
    }

    /**
     * Checks a file that vouches for its devices, which are in a domain or nowhere: no-snoop is blocked.
     *
     * @param vouches what the file answers
     */
    public void checkFile(String when, boolean vouches, Attached in) {
        if (vouches && !in.enforced) {
            excuse(when + ": a file vouches for what its domain does not promise", Hole.VOUCHED_WITHOUT_PROMISE);
        }
    }

    /** Files were added to or deleted from KVM's device: it asked them all. */
    public void filesChanged(List<Boolean> answers) {
        expectedOfKvm = answers.contains(false);
    }

    /** Checks that KVM takes DMA as non-coherent if and only if a file did not vouch when it asked last. */
    public void checkKvm(String when, boolean noncoherent) {
        assertThat(noncoherent).as("%s: non-coherent DMA", when).isEqualTo(expectedOfKvm);
    }

    private void excuse(String what, Hole hole) {
        assertThat(holes).as(what).contains(hole);
        excused.merge(hole, 1, Integer::sum);
    }

    private long translate(PciAddress device, long iova) {
        return unitOf(machine, device)
                .translate(device.requesterId(), TranslationUnit.NO_PASID, iova, RequestFlags.READ);
    }

    private static TranslationUnit unitOf(Machine machine, PciAddress device) {
        return machine.unit(machine.description().functions().stream()
                .filter(function -> function.address().equals(device))
                .findFirst()
                .orElseThrow()
                .unit()
                .orElseThrow());
    }
}
