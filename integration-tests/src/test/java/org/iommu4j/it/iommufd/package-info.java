// SPDX-License-Identifier: Apache-2.0

/** iommufd over the real drivers and the silicon: what devices reach, what fails, and what leaks. */
package org.iommu4j.it.iommufd;
